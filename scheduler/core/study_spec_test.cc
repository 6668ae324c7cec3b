// Studies as people write them: completed, planned, refused.
#include "scheduler/core/study_spec.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/scheduler_world.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> RungsOf(const v1::StudyPlan& plan) {
  std::vector<std::string> rungs;
  for (const v1::StudyPlan::Rung& rung : plan.rungs()) {
    rungs.push_back(absl::StrCat(rung.trials(), "@", rung.epochs()));
  }
  return rungs;
}

TEST(StudySpecTest, FillsTheDefaults) {
  const v1::Study study =
      *CompleteStudy(State(), SmallStudy("asha { trial_count: 27 }", 9));
  EXPECT_EQ(study.search().asha().min_epochs(), 1);
  EXPECT_EQ(study.search().asha().reduction(), 4);
  EXPECT_EQ(study.objective().rank(), v1::Objective::MAX_EPOCHS_FIRST);
  EXPECT_EQ(study.retention().best_trials(), 3);
  EXPECT_EQ(study.retention().keep_paused(), v1::Retention::ALL_EPOCHS);
  EXPECT_EQ(study.failure_policy().max_retries(), 1);
  EXPECT_EQ(study.failure_policy().max_losses(), 10);
  EXPECT_FALSE(study.failure_policy().has_max_failed_trials());
  EXPECT_EQ(study.training().evaluate(), v1::TEST_LAST_EPOCH);

  EXPECT_EQ(CompleteStudy(State(), SmallStudy("random { trial_count: 2 }", 9))
                ->objective()
                .rank(),
            v1::Objective::OBJECTIVE_ONLY);
}

TEST(StudySpecTest, IgnoresWhatOnlyTheSchedulerSays) {
  v1::Study study = SmallStudy("random { trial_count: 2 }", 9);
  study.set_name("studies/99");
  study.set_state(v1::Study::SUCCEEDED);
  study.set_best_trial("studies/99/trials/1");
  const v1::Study complete = *CompleteStudy(State(), study);
  EXPECT_EQ(complete.name(), "");
  EXPECT_EQ(complete.state(), v1::Study::STATE_UNSPECIFIED);
  EXPECT_EQ(complete.best_trial(), "");
}

TEST(StudySpecTest, PlansTheLadder) {
  TestWorld world;
  const v1::CreateStudyResponse response = *world.scheduler().PlanStudy(
      SmallStudy("asha { trial_count: 27 min_epochs: 1 reduction: 3 }", 9));

  const v1::StudyPlan& plan = response.plan();
  EXPECT_THAT(RungsOf(plan), ElementsAre("27@1", "9@3", "3@9"));
  EXPECT_EQ(plan.trial_count(), 27);
  EXPECT_EQ(plan.epochs(), 27 + 9 * 2 + 3 * 6);
  // One slot and three best trials with all ten epochs, and at each rung at
  // most nine paused trials, with two and four.
  EXPECT_EQ(plan.bytes_max(), (4 * 10 + 9 * 2 + 9 * 4) * 266'610 * 4);
  EXPECT_EQ(response.study().name(), "");
  EXPECT_EQ(world.scheduler().event_count(), 0);
}

TEST(StudySpecTest, PlansFullLengthTrials) {
  TestWorld world;
  world.Call("workers/a", 2);
  const v1::StudyPlan plan =
      world.scheduler()
          .PlanStudy(SmallStudy("random { trial_count: 20 }", 9))
          ->plan();
  EXPECT_THAT(RungsOf(plan), ElementsAre("20@9"));
  EXPECT_EQ(plan.epochs(), 180);
  EXPECT_EQ(plan.bytes_max(), 5 * 10 * 266'610 * 4);
}

struct Refusal {
  const char* name;
  const char* changes;  // Merged over a good study.
  const char* says;
};
class StudyRefusals : public testing::TestWithParam<Refusal> {};

TEST_P(StudyRefusals, NamesTheFieldAndCreatesNothing) {
  TestWorld world;
  v1::Study study = SmallStudy("random { trial_count: 2 }", 9);
  study.MergeFrom(Parse<v1::Study>(GetParam().changes));
  EXPECT_THAT(world.Refusal(CreateStudy{{"id", "CreateStudy", ""}, study}),
              StatusIs(absl::StatusCode::kInvalidArgument, GetParam().says));
  EXPECT_EQ(world.scheduler().event_count(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, StudyRefusals,
    testing::Values(
        Refusal{"Training", "training { epochs: -1 }",
                "training.epochs: must be from 1"},
        Refusal{"StopsAtRungsAlready",
                "training { early_stop { validation_accuracy: 0.9 } } "
                "search { asha { trial_count: 9 } }",
                "training.early_stop: cannot go with search.asha"},
        Refusal{"SearchesWhereToStop",
                "search { asha { trial_count: 9 } parameters { path: "
                "'early_stop.validation_accuracy' double_list { values: 0.5 } "
                "} }",
                "training.early_stop: cannot go with search.asha"},
        Refusal{"Parameter",
                "search { parameters { path: 'lr' double { max: 1 } } }",
                "search.parameters[1] \"lr\": "},
        Refusal{"NoTrials", "search { random { trial_count: -5 } }",
                "search.random.trial_count: must be from 1"},
        Refusal{"AshaMinAboveMax",
                "search { asha { trial_count: 9 min_epochs: 10 } }",
                "search.asha.min_epochs: must be from 1 to training.epochs, "
                "which is 9, got 10"},
        Refusal{"GridOverARange", "search { grid {} }",
                "search.parameters[0] \"optimizer.adam.learning_rate\": grid"},
        Refusal{"Metric", "objective { metric: 77 }", "objective.metric"},
        Refusal{"Goal", "objective { goal: 77 }", "objective.goal"},
        Refusal{"ObjectiveWithoutSplit",
                "training { evaluate: TEST_EVERY_EPOCH dataset { mnist { "
                "validation_examples: 0 } } }",
                "objective.metric: VALIDATION_LOSS needs a validation split"},
        Refusal{"BestTrials", "retention { best_trials: -1 }",
                "retention.best_trials: must be 1 or more"},
        Refusal{"Retries", "failure_policy { max_retries: -1 }",
                "failure_policy.max_retries"},
        Refusal{"ThenWithoutSeeds", "then { from { winner {} } }",
                "then[0].seeds"},
        Refusal{"ThenBeyondTheEnd",
                "then { from { winner { epoch: 10 } } seeds: 1 }",
                "then[0].from.winner.epoch: must be from 0 to training.epochs, "
                "which is 9, got 10"},
        Refusal{"ThenOfAnother",
                "then { from { winner { study: 'studies/1' } } seeds: 1 }",
                "then[0].from.winner.study"},
        Refusal{"ThenWithBadValues",
                "then { from { winner {} } seeds: 1 training { optimizer { "
                "adam { learning_rate: -1 } } } }",
                "then[0].training.optimizer.adam.learning_rate"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(StudySpecTest, NamesWhatIsRequired) {
  TestWorld world;
  v1::Study study = SmallStudy("", 9);
  EXPECT_THAT(world.Refusal(CreateStudy{{}, study}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "search.method: none is set"));
  study = SmallStudy("random { trial_count: 2 }", 9);
  study.clear_objective();
  EXPECT_THAT(world.Refusal(CreateStudy{{}, study}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "objective.metric: is required"));
  study = SmallStudy("random { trial_count: 2 }", 9);
  study.mutable_objective()->clear_goal();
  EXPECT_THAT(world.Refusal(CreateStudy{{}, study}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "objective.goal: is required"));
}

TEST(StudySpecTest, RefusesToStartFromWhatIsNotThere) {
  TestWorld world;
  v1::Study study = SmallStudy("random { trial_count: 2 }", 9);
  study.MergeFrom(
      Parse<v1::Study>("training { initializer { checkpoint { "
                       "checkpoint: 'studies/4/trials/1/epochs/2' } } }"));
  EXPECT_THAT(world.Refusal(CreateStudy{{}, study}),
              StatusIs(absl::StatusCode::kNotFound,
                       "training.initializer.checkpoint.checkpoint: There is "
                       "no studies/4/trials/1"));
}

TEST(StudySpecTest, RefusesAChoiceThatIsNotThere) {
  TestWorld world;
  v1::Study study = SmallStudy("random { trial_count: 2 }", 9);
  study.MergeFrom(Parse<v1::Study>(R"(search { parameters {
    path: "initializer" choice { values { struct_value { fields {
      key: "mean" value { struct_value { fields { key: "checkpoints" value {
        list_value { values { string_value: "studies/4/trials/1/epochs/2" }
                     values { string_value: "studies/4/trials/2/epochs/2" }
        } } } } } } } } } } })"));
  EXPECT_THAT(world.Refusal(CreateStudy{{}, study}),
              StatusIs(absl::StatusCode::kNotFound,
                       "search.parameters[1] \"initializer\": values[0]: "
                       "initializer.mean.checkpoints[0]: There is no "
                       "studies/4/trials/1"));
}

}  // namespace
}  // namespace headstart::scheduler
