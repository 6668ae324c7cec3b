#include "scheduler/search/field_rules.h"

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "base/check.h"
#include "headstart/v1/training_spec.pb.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

v1::TrainingSpec SpecOf(const char* text) {
  v1::TrainingSpec spec;
  HS_CHECK(google::protobuf::TextFormat::ParseFromString(text, &spec));
  return spec;
}

TEST(FillDefaultsTest, KeepsWhatIsWritten) {
  v1::Schedule schedule;
  schedule.mutable_one_cycle()->set_rise(0.2);

  FillDefaults(schedule);

  EXPECT_EQ(schedule.one_cycle().rise(), 0.2);
  EXPECT_EQ(schedule.one_cycle().start_divisor(), 25);
  EXPECT_EQ(schedule.one_cycle().final_divisor(), 1e4);
}

TEST(FillDefaultsTest, SetsTheKindOfAMessageThatHasOnlyOtherFields) {
  v1::TrainingSpec spec;
  spec.mutable_schedule()->mutable_warm_up()->set_epochs(2);

  FillDefaults(spec);

  EXPECT_TRUE(spec.schedule().has_constant());
  EXPECT_EQ(spec.schedule().warm_up().epochs(), 2);
}

TEST(FillDefaultsTest, LeavesAnEmptyOneofAlone) {
  v1::TrainingSpec spec;

  FillDefaults(spec);

  EXPECT_FALSE(spec.has_model());
  EXPECT_EQ(spec.optimizer().kind_case(), v1::Optimizer::KIND_NOT_SET);
}

TEST(CheckFieldRulesTest, ListsTheKindsOfARequiredOneof) {
  v1::TrainingSpec spec = SpecOf("epochs: 1 batch_size: 1 model {}");

  EXPECT_THAT(CheckFieldRules(spec, "then[1].training"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "then[1].training.model: is required. Choose one of "
                       "lenet_300_100, small_cnn, "));
}

TEST(CheckFieldRulesTest, ChecksEachNumberOfAList) {
  v1::Normalization normalization;
  normalization.add_standard_deviation(0.5);
  normalization.add_standard_deviation(0);

  EXPECT_THAT(CheckFieldRules(normalization, ""),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "standard_deviation[1]: must be from 1e-06 to 1, "
                       "got 0."));
}

TEST(OverrideTest, ReplacesListsAndMergesTheRest) {
  v1::TrainingSpec spec = SpecOf(
      "schedule { multi_step { milestones: [ 5, 9 ] factor: 0.5 } } epochs: 3");

  Override(SpecOf("schedule { multi_step { milestones: 7 } }"), spec);

  EXPECT_EQ(spec.DebugString(),
            SpecOf("schedule { multi_step { milestones: 7 factor: 0.5 } } "
                   "epochs: 3")
                .DebugString());
}

TEST(OverrideTest, ReplacesTheKindOfAOneof) {
  v1::TrainingSpec spec =
      SpecOf("schedule { multi_step { milestones: [ 5, 9 ] } }");

  Override(SpecOf("schedule { cosine {} }"), spec);

  EXPECT_EQ(spec.DebugString(), SpecOf("schedule { cosine {} }").DebugString());
}

}  // namespace
}  // namespace headstart::scheduler
