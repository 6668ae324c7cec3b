#include "scheduler/search/grid_search.h"

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "scheduler/search/spec_defaults.h"
#include "tests/contract/search_method_contract.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

Space SpaceOf(const std::string& parameters) {
  v1::Study study;
  HS_CHECK(google::protobuf::TextFormat::ParseFromString(
      R"(training {
           model { lenet_300_100 {} }
           dataset { mnist { validation_examples: 5000 } }
           epochs: 9 batch_size: 60
           optimizer { sgd { learning_rate: 0.1 } } }
         search { )" +
          parameters + " }",
      &study));
  FillSpecDefaults(*study.mutable_training());
  return *Space::Create(study.search().parameters(), study.training());
}

constexpr char kLists[] = R"(
  parameters { path: "batch_size" integer_list { values: [32, 64, 128, 256] } }
  parameters { path: "optimizer.sgd.learning_rate"
               double_list { values: [0.1, 0.01, 0.001] } }
  parameters { path: "initializer" choice {
    values { struct_value { fields { key: "xavier_normal"
                                     value { struct_value {} } } } }
    values { struct_value { fields { key: "framework_default"
                                     value { struct_value {} } } } } } })";

std::unique_ptr<SearchMethod> MakeGrid() {
  return *GridSearch::Create(SpaceOf(kLists), 9);
}
INSTANTIATE_TEST_SUITE_P(Grid, SearchMethodContract,
                         testing::Values(&MakeGrid));

TEST(GridSearchTest, VariesTheLastParameterFastest) {
  const Space space = SpaceOf(kLists);
  const std::unique_ptr<SearchMethod> grid = *GridSearch::Create(space, 9);
  ASSERT_EQ(grid->trial_count(), 24);

  std::vector<std::string> texts;
  for (const int64_t trial : {1, 2, 3, 7, 24}) {
    std::vector<std::string> values;
    for (const auto& value : grid->Choose(space, 0, trial).values) {
      values.push_back(value.value());
    }
    texts.push_back(absl::StrJoin(values, " "));
  }

  EXPECT_THAT(texts,
              testing::ElementsAre("32 0.1 {\"xavier_normal\":{}}",
                                   "32 0.1 {\"framework_default\":{}}",
                                   "32 0.01 {\"xavier_normal\":{}}",
                                   "64 0.1 {\"xavier_normal\":{}}",
                                   "256 0.001 {\"framework_default\":{}}"));
}

TEST(GridSearchTest, RefusesARange) {
  EXPECT_THAT(
      GridSearch::Create(SpaceOf(R"(parameters {
        path: "batch_size" integer { min: 1 max: 9 } })"),
                         9),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "parameters[0] \"batch_size\": grid search takes lists"));
}

}  // namespace
}  // namespace headstart::scheduler
