#include "scheduler/search/space.h"

#include <cmath>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "base/check.h"
#include "base/random_stream.h"
#include "scheduler/search/spec_defaults.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Lt;

// `training` is added to the study's spec.
absl::StatusOr<Space> SpaceOf(const std::string& parameters,
                              const std::string& training = "") {
  v1::Study study;
  HS_CHECK(google::protobuf::TextFormat::ParseFromString(
      R"(training {
           model { lenet_300_100 {} }
           dataset { mnist { validation_examples: 5000 } }
           epochs: 9 batch_size: 60
           optimizer { adam { learning_rate: 0.0012 } } )" +
          training + " } search { " + parameters + " }",
      &study))
      << parameters;
  FillSpecDefaults(*study.mutable_training());
  return Space::Create(study.search().parameters(), study.training());
}

// Philox4x32-10 with counter (0, 3, 7, 0) and key (2024, 0), its first two
// words as 53 bits of [0, 1), and those through the mappings: worked out apart
// from this code.
TEST(SpaceTest, MapsTheKnownDraw) {
  const auto words = Philox4x32({0, 3, 7, 0}, {2024, 0});
  const double u = UnitInterval((uint64_t{words[0]} << 32) | words[1]);
  EXPECT_EQ(u, 0.6924767621666915);

  v1::DoubleRange range;
  range.set_min(1e-4);
  range.set_max(1e-1);
  range.set_scale(v1::LOG);
  EXPECT_NEAR(DoubleAt(range, u), 0.011951716598, 5e-13);
  EXPECT_EQ(IndexAt(6, u), 4);
}

TEST(SpaceTest, MapsTheEndsOfARange) {
  const double almost = std::nextafter(1.0, 0.0);
  v1::DoubleRange doubles;
  doubles.set_min(0.1);
  doubles.set_max(0.3);
  for (const v1::Scale scale : {v1::LINEAR, v1::LOG}) {
    doubles.set_scale(scale);
    EXPECT_NEAR(DoubleAt(doubles, 0), 0.1, 1e-15);
    EXPECT_THAT(DoubleAt(doubles, almost), AllOf(Ge(0.1), Lt(0.3)));
  }
  v1::IntegerRange integers;
  integers.set_min(3);
  integers.set_max(17);
  for (const v1::Scale scale : {v1::LINEAR, v1::LOG}) {
    integers.set_scale(scale);
    EXPECT_EQ(IntegerAt(integers, 0), 3);
    EXPECT_EQ(IntegerAt(integers, almost), 17);
  }
}

TEST(SpaceTest, DrawsLogIntegersByTheirShareOfTheLogarithm) {
  v1::IntegerRange range;
  range.set_min(1);
  range.set_max(7);
  range.set_scale(v1::LOG);
  // 1 owns [1, 2) of [1, 8): a third of the logarithm.
  EXPECT_EQ(IntegerAt(range, 1.0 / 3 - 1e-9), 1);
  EXPECT_EQ(IntegerAt(range, 1.0 / 3 + 1e-9), 2);
}

TEST(SpaceTest, DrawsAtAnAddressOfEachValuesOwn) {
  const Space one = *SpaceOf(R"(parameters {
    path: "optimizer.adam.learning_rate"
    double { min: 1e-4 max: 1e-1 scale: LOG } })");
  const Space two = *SpaceOf(R"(
    parameters { path: "batch_size" integer_list { values: [32, 64] } }
    parameters { path: "optimizer.adam.learning_rate"
                 double { min: 1e-4 max: 1e-1 scale: LOG } })");

  for (int64_t trial = 1; trial <= 20; ++trial) {
    const Point alone = one.Draw(42, trial);
    const Point beside = two.Draw(42, trial);
    EXPECT_EQ(alone.training.optimizer().adam().learning_rate(),
              beside.training.optimizer().adam().learning_rate());
    v1::DoubleRange range;
    range.set_min(1e-4);
    range.set_max(1e-1);
    range.set_scale(v1::LOG);
    EXPECT_EQ(alone.training.optimizer().adam().learning_rate(),
              DoubleAt(range, RandomStream(42)
                                  .Child("trial", trial)
                                  .Child("optimizer.adam.learning_rate")
                                  .Uniform()));
  }
}

TEST(SpaceTest, WritesValuesAndTheirTexts) {
  const Space space = *SpaceOf(R"(
    parameters { path: "optimizer.adam.beta1" double_list { values: [0.5] } }
    parameters { path: "batch_size" integer_list { values: [128] } }
    parameters { path: "evaluate"
                 choice { values { string_value: "TEST_NEVER" } } }
    parameters { path: "initializer" choice { values { struct_value { fields {
      key: "kaiming_uniform" value { struct_value { fields {
        key: "gain" value { number_value: 1 } } } } } } } } })");

  const Point point = space.Draw(1, 1);

  EXPECT_EQ(point.training.optimizer().adam().beta1(), 0.5);
  EXPECT_EQ(point.training.batch_size(), 128);
  EXPECT_EQ(point.training.evaluate(), v1::TEST_NEVER);
  EXPECT_EQ(point.training.initializer().kaiming_uniform().gain(), 1);
  ASSERT_EQ(point.values.size(), 4u);
  EXPECT_EQ(point.values[0].value(), "0.5");
  EXPECT_EQ(point.values[1].value(), "128");
  EXPECT_EQ(point.values[2].value(), "TEST_NEVER");
  EXPECT_EQ(point.values[3].value(), "{\"kaiming_uniform\":{\"gain\":1}}");
}

constexpr char kChain[] = R"(initializer { chain {
  steps { checkpoint { checkpoint: "studies/1/trials/2/epochs/3"
                       fresh_layers: "fc" } }
  steps { shrink_perturb {} } steps { zero_init_residual {} } } })";

TEST(SpaceTest, SearchesInsideTheStepsOfAChain) {
  const absl::StatusOr<Space> space = SpaceOf(R"(
    parameters { path: "initializer.chain.steps[1].shrink_perturb.shrink"
                 double { min: 0.2 max: 0.8 } }
    parameters { path: "initializer.chain.steps[0].checkpoint.buffers"
                 choice { values { bool_value: false } } }
    parameters { path: "initializer.chain.steps[0].checkpoint.checkpoint"
                 choice { values { string_value:
                                   "studies/1/trials/9/epochs/1" } } }
    parameters { path: "initializer.chain.steps[2]"
                 choice { values { struct_value { fields {
                   key: "orthogonal" value { struct_value {} } } } } } })",
                                              kChain);
  ASSERT_THAT(space, IsOk());

  const Point point = space->Draw(1, 1);

  const v1::Chain& chain = point.training.initializer().chain();
  ASSERT_EQ(chain.steps_size(), 3);
  EXPECT_THAT(chain.steps(1).shrink_perturb().shrink(),
              AllOf(Ge(0.2), Lt(0.8)));
  EXPECT_EQ(chain.steps(1).shrink_perturb().perturb(), 0.1);
  EXPECT_TRUE(chain.steps(0).checkpoint().has_buffers());
  EXPECT_FALSE(chain.steps(0).checkpoint().buffers());
  EXPECT_EQ(chain.steps(0).checkpoint().checkpoint(),
            "studies/1/trials/9/epochs/1");
  EXPECT_TRUE(chain.steps(2).has_orthogonal());
  EXPECT_EQ(point.values[1].value(), "false");
  EXPECT_EQ(point.values[2].value(), "studies/1/trials/9/epochs/1");
  EXPECT_EQ(point.values[3].value(), "{\"orthogonal\":{}}");
}

struct Refusal {
  const char* name;
  const char* parameters;
  const char* says;
};
class SpaceRefusals : public testing::TestWithParam<Refusal> {};

TEST_P(SpaceRefusals, NamesParameterAndReason) {
  const absl::Status status = SpaceOf(GetParam().parameters).status();
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kInvalidArgument, GetParam().says));
}

class ChainRefusals : public testing::TestWithParam<Refusal> {};

TEST_P(ChainRefusals, NamesParameterAndReason) {
  EXPECT_THAT(SpaceOf(GetParam().parameters, kChain).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    All, ChainRefusals,
    testing::Values(
        Refusal{"NoPlace",
                "parameters { path: 'initializer.chain.steps."
                "shrink_perturb.shrink' double { max: 1 } }",
                "initializer.chain.steps is a list. Say which of it, as in "
                "initializer.chain.steps[0]"},
        Refusal{"WrongPlace",
                "parameters { path: 'initializer.chain.steps[3]."
                "shrink_perturb.shrink' double { max: 1 } }",
                "there is no [3]; the list has [0] to [2]"},
        Refusal{"NoNumber",
                "parameters { path: 'initializer.chain.steps[01]."
                "shrink_perturb.shrink' double { max: 1 } }",
                "there is no [01]"},
        Refusal{"NoList",
                "parameters { path: 'initializer[0].chain' double { max: 1 } }",
                "initializer is no list"},
        Refusal{"OtherKind",
                "parameters { path: 'initializer.chain.steps[0]."
                "shrink_perturb.shrink' double { max: 1 } }",
                "lies in another kind than training.initializer.chain.steps[0] "
                "has, which is checkpoint"},
        Refusal{"OutsideTheField",
                "parameters { path: 'initializer.chain.steps[1]."
                "shrink_perturb.shrink' double { min: 0.5 max: 1.5 } }",
                "initializer.chain.steps[1].shrink_perturb.shrink: must be "
                "from 0 to 1"},
        Refusal{"List",
                "parameters { path: 'initializer.chain.steps[0].checkpoint."
                "fresh_layers' choice { values { string_value: 'fc' } } }",
                "cannot be searched"},
        Refusal{"Element",
                "parameters { path: 'initializer.chain.steps[0].checkpoint."
                "fresh_layers[0]' choice { values { string_value: 'fc' } } }",
                "cannot be searched"},
        Refusal{"NoName",
                "parameters { path: 'initializer.chain.steps[0].checkpoint."
                "checkpoint' choice { values { string_value: 'best' } } }",
                "initializer.chain.steps[0].checkpoint.checkpoint: \"best\" "
                "is not the name of a checkpoint"},
        Refusal{"NothingToKeep",
                "parameters { path: 'initializer.chain.steps[0]' choice { "
                "values { struct_value { fields { key: 'keep_blocks' value { "
                "struct_value { fields { key: 'blocks' "
                "value { number_value: 1 } } } } } } } } }",
                "initializer.chain.steps[0].keep_blocks: there is nothing to "
                "keep"},
        Refusal{"Overlap",
                "parameters { path: 'initializer.chain.steps[1]' choice { "
                "values { struct_value { fields { key: 'orthogonal' "
                "value { struct_value {} } } } } } }"
                "parameters { path: 'initializer.chain.steps[1]."
                "shrink_perturb.shrink' double { min: 0 max: 1 } }",
                "overlaps with parameters[0]"}),
    [](const auto& info) { return std::string(info.param.name); });

INSTANTIATE_TEST_SUITE_P(
    All, SpaceRefusals,
    testing::Values(
        Refusal{"None", "", "1 to 50, got 0"},
        Refusal{"NoDomain", "parameters { path: 'batch_size' }",
                "has no domain"},
        Refusal{"UnknownField",
                "parameters { path: 'optimizer.adam.rate' "
                "double { min: 1 max: 2 } }",
                "optimizer.adam has learning_rate, beta1"},
        Refusal{"UnknownTop",
                "parameters { path: 'lr' double { min: 1 max: 2 } }",
                "training has model, dataset, epochs"},
        Refusal{"BelowANumber",
                "parameters { path: 'batch_size.x' integer { max: 2 } }",
                "batch_size has no fields"},
        Refusal{"OtherKind",
                "parameters { path: 'optimizer.sgd.momentum' "
                "double { min: 0 max: 0.9 } }",
                "lies in another kind"},
        Refusal{"WrongDomain",
                "parameters { path: 'batch_size' double { min: 1 max: 2 } }",
                "it is an integer field. Use integer, integer_list or choice"},
        Refusal{"Reversed",
                "parameters { path: 'batch_size' integer { min: 9 max: 2 } }",
                "min must be below max, got min 9 and max 2"},
        Refusal{"Empty",
                "parameters { path: 'optimizer.adam.learning_rate' "
                "double { min: 0.1 max: 0.1 } }",
                "min must be below max"},
        Refusal{"Nan",
                "parameters { path: 'optimizer.adam.learning_rate' "
                "double { min: 0.1 max: nan } }",
                "both finite"},
        Refusal{"LogAtZero",
                "parameters { path: 'optimizer.adam.weight_decay' "
                "double { min: 0 max: 0.1 scale: LOG } }",
                "log scale needs min above 0, got 0"},
        Refusal{"OutsideTheField",
                "parameters { path: 'optimizer.adam.beta1' "
                "double { min: 0.5 max: 1.5 } }",
                "below 1"},
        Refusal{"ValueOutsideTheField",
                "parameters { path: 'batch_size' "
                "integer_list { values: [60, 0] } }",
                "values[1]: batch_size: must be from 1 to 65536, got 0"},
        Refusal{"NoValues", "parameters { path: 'batch_size' integer_list {} }",
                "1 to 1,000, got 0"},
        Refusal{"ValueTwice",
                "parameters { path: 'batch_size' "
                "integer_list { values: [60, 60] } }",
                "values[1]: 60 stands twice"},
        Refusal{"ChoiceOfWrongType",
                "parameters { path: 'initializer' "
                "choice { values { string_value: 'xavier' } } }",
                "the field takes a message with framework_default"},
        Refusal{"ChoiceOfUnknownKind",
                "parameters { path: 'initializer' choice { values { "
                "struct_value { fields { key: 'xaver' "
                "value { struct_value {} } } } } } }",
                "The field has framework_default"},
        Refusal{"UnknownEnum",
                "parameters { path: 'evaluate' "
                "choice { values { string_value: 'SOMETIMES' } } }",
                "TEST_NEVER, TEST_LAST_EPOCH, TEST_EVERY_EPOCH"},
        Refusal{"SamePathTwice",
                "parameters { path: 'batch_size' integer { min: 1 max: 2 } }"
                "parameters { path: 'batch_size' integer { min: 3 max: 4 } }",
                "parameters[1] \"batch_size\": parameters[0] has the same"},
        Refusal{"Overlap",
                "parameters { path: 'optimizer.adam' choice { values { "
                "struct_value { fields { key: 'learning_rate' "
                "value { number_value: 1 } } } } } }"
                "parameters { path: 'optimizer.adam.beta1' "
                "double { min: 0.1 max: 0.2 } }",
                "overlaps with parameters[0] \"optimizer.adam\""},
        Refusal{"Epochs", "parameters { path: 'epochs' integer { max: 9 } }",
                "epochs cannot be searched"},
        Refusal{"Dataset",
                "parameters { path: 'dataset.mnist.split_seed' "
                "integer { max: 9 } }",
                "the data set cannot be searched"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace headstart::scheduler
