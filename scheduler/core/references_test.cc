// What each owner wants kept.
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/scheduler_world.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// "1/epochs/2 BEST_TRIAL" of an owner's wanted references.
std::vector<std::string> Wanted(TestWorld& world, const std::string& owner) {
  std::vector<std::string> texts;
  const WantedReferences wanted = *world.scheduler().GetWantedReferences(owner);
  for (const v1::Reference& reference : wanted.references) {
    EXPECT_EQ(reference.owner(), owner);
    texts.push_back(absl::StrCat(
        reference.checkpoint().substr(reference.checkpoint().find('/') + 1),
        " ", v1::ReferenceReason_Name(reference.reason())));
  }
  return texts;
}

v1::RunHorizon HorizonOf(TestWorld& world, const std::string& owner,
                         const std::string& run) {
  const WantedReferences wanted = *world.scheduler().GetWantedReferences(owner);
  for (const v1::RunHorizon& horizon : wanted.horizons) {
    if (horizon.run() == run) return horizon;
  }
  ADD_FAILURE() << "no horizon of " << run;
  return {};
}

double LossIsTrial(const v1::Assignment& work, int64_t) {
  return std::stod(work.run().substr(17));
}

v1::Assignment Train(TestWorld& world, const v1::SynchronizeResponse& answer) {
  const auto next = world.Call(
      "workers/a", 1,
      {TestWorld::Trained(answer.assignments(0).assignment(), LossIsTrial)});
  return next.assignments_size() == 0 ? v1::Assignment()
                                      : next.assignments(0).assignment();
}

TEST(ReferencesTest, KeepsWhatTrains) {
  TestWorld world;
  world.Do(CreateStudy{{}, SmallStudy("random { trial_count: 2 }", 3)});
  const auto answer = world.Call("workers/a", 1);
  const v1::Assignment work = answer.assignments(0).assignment();
  v1::AttemptStatus status = TestWorld::StatusOf(work, v1::Attempt::RUNNING);
  *status.add_reports() = ReportOf(0, 0);
  world.Call("workers/a", 1, {status});

  EXPECT_THAT(Wanted(world, "studies/1"),
              UnorderedElementsAre("1/trials/1/epochs/0 RUNNING"));
  // Another attempt may still draw another initial state.
  EXPECT_EQ(HorizonOf(world, "studies/1", work.run()).known_epoch(), -1);
  EXPECT_EQ(HorizonOf(world, "studies/1", work.run()).token(), 1);

  *status.add_reports() = ReportOf(1, 1);
  world.Call("workers/a", 1, {status});

  EXPECT_THAT(Wanted(world, "studies/1"),
              UnorderedElementsAre("1/trials/1/epochs/0 RUNNING",
                                   "1/trials/1/epochs/1 RUNNING",
                                   "1/trials/1/epochs/1 RESUME",
                                   "1/trials/1/epochs/1/resume RESUME"));
  EXPECT_EQ(HorizonOf(world, "studies/1", work.run()).known_epoch(), 1);
  EXPECT_FALSE(HorizonOf(world, "studies/1", work.run()).ended());
}

class PausedTest : public testing::TestWithParam<v1::Retention::KeepPaused> {};

TEST_P(PausedTest, KeepsWhatCanBePromotedAndLetsGoOfTheRest) {
  TestWorld world;
  v1::Study study = SmallStudy(
      "asha { trial_count: 4 min_epochs: 2 "
      "reduction: 2 }",
      4);
  study.mutable_retention()->set_best_trials(1);
  study.mutable_retention()->set_keep_paused(GetParam());
  world.Do(CreateStudy{{}, study});
  Train(world, world.Call("workers/a", 1));  // Trial 1 pauses at epoch 2.

  std::vector<std::string> expected = {"1/trials/1/epochs/2 PROMOTABLE",
                                       "1/trials/1/epochs/2 RESUME",
                                       "1/trials/1/epochs/2/resume RESUME"};
  if (GetParam() == v1::Retention::ALL_EPOCHS) {
    expected.push_back("1/trials/1/epochs/0 PROMOTABLE");
    expected.push_back("1/trials/1/epochs/1 PROMOTABLE");
  }
  EXPECT_THAT(Wanted(world, "studies/1"),
              testing::UnorderedElementsAreArray(expected));

  world.TrainAll(LossIsTrial);

  ASSERT_EQ(world.scheduler().GetStudy("studies/1")->state(),
            v1::Study::SUCCEEDED);
  EXPECT_THAT(Wanted(world, "studies/1"),
              UnorderedElementsAre("1/trials/1/epochs/0 BEST_TRIAL",
                                   "1/trials/1/epochs/1 BEST_TRIAL",
                                   "1/trials/1/epochs/2 BEST_TRIAL",
                                   "1/trials/1/epochs/3 BEST_TRIAL",
                                   "1/trials/1/epochs/4 BEST_TRIAL"));
  EXPECT_TRUE(HorizonOf(world, "studies/1", "studies/1/trials/3").ended());
}

INSTANTIATE_TEST_SUITE_P(Both, PausedTest,
                         testing::Values(v1::Retention::ALL_EPOCHS,
                                         v1::Retention::RUNG_ONLY));

// The best trial may still fail while it trains on; who is next must not have
// lost its checkpoints by then.
TEST(ReferencesTest, KeepsTheNextBestWhileTheBestTrains) {
  TestWorld world;
  v1::Study study = SmallStudy("random { trial_count: 2 }", 2);
  study.mutable_retention()->set_best_trials(1);
  study.mutable_failure_policy()->set_max_retries(0);
  world.Do(CreateStudy{{}, study});
  const auto loss = [](const v1::Assignment& work, int64_t) {
    return work.run() == "studies/1/trials/1" ? 0.9 : 0.1;
  };
  auto answer = world.Call("workers/a", 1);
  answer = world.Call(
      "workers/a", 1,
      {TestWorld::Trained(answer.assignments(0).assignment(), loss)});
  const v1::Assignment second = answer.assignments(0).assignment();
  v1::AttemptStatus status = TestWorld::StatusOf(second, v1::Attempt::RUNNING);
  *status.add_reports() = ReportOf(0, 0);
  *status.add_reports() = ReportOf(1, 0.1);
  world.Call("workers/a", 1, {status});
  ASSERT_EQ(world.scheduler().GetStudy("studies/1")->best_trial(),
            "studies/1/trials/2");
  EXPECT_THAT(Wanted(world, "studies/1"),
              Contains("1/trials/1/epochs/2 BEST_TRIAL"));

  status.set_state(v1::Attempt::FAILED);
  status.mutable_failure()->set_reason(v1::Failure::NON_FINITE_LOSS);
  world.Call("workers/a", 1, {status});

  EXPECT_EQ(world.scheduler().GetStudy("studies/1")->best_trial(),
            "studies/1/trials/1");
  EXPECT_THAT(Wanted(world, "studies/1"),
              UnorderedElementsAre("1/trials/1/epochs/0 BEST_TRIAL",
                                   "1/trials/1/epochs/1 BEST_TRIAL",
                                   "1/trials/1/epochs/2 BEST_TRIAL"));
}

TEST(ReferencesTest, KeepsOfATrainingSourceLatestBestAndNamedEpochs) {
  TestWorld world;
  world.Do(CreateStudy{{}, SmallStudy("random { trial_count: 1 }", 2)});
  world.TrainAll(LossIsTrial);
  world.Do(CreateTraining{{}, Parse<v1::Training>(R"(
    from { winner { study: "studies/1" epoch: 1 } } epochs: 5 seeds: 1
    keep_epochs: [2, 4])")});
  EXPECT_THAT(Wanted(world, "trainings/1"),
              ElementsAre("1/trials/1/epochs/1 SOURCE_OF"));
  world.Do(SourceConfirmed{"trainings/1"});
  const auto answer = world.Call("workers/a", 1);
  v1::AttemptStatus status = TestWorld::StatusOf(
      answer.assignments(0).assignment(), v1::Attempt::RUNNING);
  *status.add_reports() = ReportOf(0, 0);
  for (const auto& [epoch, loss] :
       std::vector<std::pair<int64_t, double>>{{1, .5}, {2, .3}, {3, .4}}) {
    *status.add_reports() = ReportOf(epoch, loss);
  }
  world.Call("workers/a", 1, {status});

  EXPECT_THAT(
      Wanted(world, "trainings/1"),
      UnorderedElementsAre("1/trials/1/epochs/1 SOURCE_OF",
                           "1/runs/1/epochs/3 LATEST", "1/runs/1/epochs/2 BEST",
                           "1/runs/1/epochs/2 KEPT", "1/runs/1/epochs/3 RESUME",
                           "1/runs/1/epochs/3/resume RESUME"));

  world.Do(CancelTraining{{{}, "trainings/1"}});
  EXPECT_THAT(Wanted(world, "trainings/1"),
              UnorderedElementsAre(
                  "1/trials/1/epochs/1 SOURCE_OF", "1/runs/1/epochs/3 LATEST",
                  "1/runs/1/epochs/2 BEST", "1/runs/1/epochs/2 KEPT"));
  world.Do(DeleteTraining{{{}, "trainings/1"}});
  EXPECT_THAT(Wanted(world, "trainings/1"), IsEmpty());
}

TEST(ReferencesTest, KeepsTheEndsOfLevels) {
  TestWorld world;
  world.Do(CreateStudy{{}, SmallStudy("random { trial_count: 1 }", 2)});
  world.TrainAll(LossIsTrial);
  world.Do(CreateTraining{{}, Parse<v1::Training>(R"(
    from { winner { study: "studies/1" epoch: 1 } } epochs: 5 seeds: 1
    training { pruning { epochs_per_level: 2 rewind_epoch: 1 } }
    keep_epochs: [2, 4])")});
  world.Do(SourceConfirmed{"trainings/1"});
  const auto answer = world.Call("workers/a", 1);
  v1::AttemptStatus status = TestWorld::StatusOf(
      answer.assignments(0).assignment(), v1::Attempt::RUNNING);
  *status.add_reports() = ReportOf(0, 0);
  for (int64_t epoch = 1; epoch <= 4; ++epoch) {
    *status.add_reports() = ReportOf(epoch, 1.0 / epoch);
  }
  world.Call("workers/a", 1, {status});

  EXPECT_THAT(Wanted(world, "trainings/1"),
              UnorderedElementsAre(
                  "1/trials/1/epochs/1 SOURCE_OF", "1/runs/1/epochs/4 LATEST",
                  "1/runs/1/epochs/4 BEST", "1/runs/1/epochs/1 KEPT",
                  "1/runs/1/epochs/2 KEPT", "1/runs/1/epochs/3 KEPT",
                  "1/runs/1/epochs/4 KEPT", "1/runs/1/epochs/4 RESUME",
                  "1/runs/1/epochs/4/resume RESUME"));
}

TEST(ReferencesTest, KeepsTheEndsOfStages) {
  TestWorld world;
  world.Do(CreateStudy{{}, SmallStudy("random { trial_count: 1 }", 2)});
  world.TrainAll(LossIsTrial);
  world.Do(CreateTraining{{}, Parse<v1::Training>(R"(
    from { winner { study: "studies/1" epoch: 1 } } epochs: 6 seeds: 1
    training { stages { count: 3 shrink_perturb {} } })")});
  world.Do(SourceConfirmed{"trainings/1"});
  const auto answer = world.Call("workers/a", 1);
  v1::AttemptStatus status = TestWorld::StatusOf(
      answer.assignments(0).assignment(), v1::Attempt::RUNNING);
  *status.add_reports() = ReportOf(0, 0);
  for (int64_t epoch = 1; epoch <= 5; ++epoch) {
    *status.add_reports() = ReportOf(epoch, 1.0 / epoch);
  }
  world.Call("workers/a", 1, {status});

  EXPECT_THAT(Wanted(world, "trainings/1"),
              UnorderedElementsAre(
                  "1/trials/1/epochs/1 SOURCE_OF", "1/runs/1/epochs/5 LATEST",
                  "1/runs/1/epochs/5 BEST", "1/runs/1/epochs/2 KEPT",
                  "1/runs/1/epochs/4 KEPT", "1/runs/1/epochs/5 RESUME",
                  "1/runs/1/epochs/5/resume RESUME"));
}

TEST(ReferencesTest, KeepsWhatAFailedTrialCouldBeRetriedFrom) {
  TestWorld world;
  v1::Study study = SmallStudy("random { trial_count: 2 }", 3);
  study.mutable_failure_policy()->set_max_retries(0);
  world.Do(CreateStudy{{}, study});
  const auto answer = world.Call("workers/a", 1);
  v1::AttemptStatus status = TestWorld::StatusOf(
      answer.assignments(0).assignment(), v1::Attempt::FAILED);
  *status.add_reports() = ReportOf(0, 0);
  *status.add_reports() = ReportOf(1, 0.5);
  world.Call("workers/a", 1, {status});
  ASSERT_EQ(world.scheduler().GetTrial("studies/1/trials/1")->state(),
            v1::Trial::FAILED);

  EXPECT_THAT(Wanted(world, "studies/1"),
              UnorderedElementsAre("1/trials/1/epochs/1 RESUME",
                                   "1/trials/1/epochs/1/resume RESUME"));
  EXPECT_FALSE(HorizonOf(world, "studies/1", "studies/1/trials/1").ended());

  world.Do(CancelStudy{{{}, "studies/1"}});
  EXPECT_THAT(Wanted(world, "studies/1"), IsEmpty());
  EXPECT_TRUE(HorizonOf(world, "studies/1", "studies/1/trials/1").ended());
}

TEST(ReferencesTest, KeepsWhatAStudyStartsFrom) {
  TestWorld world;
  world.Do(CreateStudy{{}, SmallStudy("random { trial_count: 1 }", 2)});
  world.TrainAll(LossIsTrial);
  v1::Study study = SmallStudy("random { trial_count: 1 }", 2);
  study.mutable_search()->mutable_parameters()->Add()->CopyFrom(
      Parse<v1::Parameter>(R"(path: "initializer" choice {
        values { struct_value { fields { key: "checkpoint" value {
          struct_value { fields { key: "checkpoint" value {
            string_value: "studies/1/winner/epochs/2" } } } } } } }
        values { struct_value { fields { key: "framework_default"
                                         value { struct_value {} } } } } })"));

  world.Do(CreateStudy{{}, study});

  EXPECT_THAT(Wanted(world, "studies/2"),
              ElementsAre("1/trials/1/epochs/2 SOURCE_OF"));
  EXPECT_THAT(world.Refusal(DeleteStudy{{{}, "studies/1"}}),
              StatusIs(absl::StatusCode::kFailedPrecondition, "studies/2"));
  world.ExpectReplayEqual();
}

TEST(ReferencesTest, KeepsEveryCheckpointOfAChainAndItsChoices) {
  TestWorld world;
  world.Do(CreateStudy{{}, SmallStudy("random { trial_count: 2 }", 2)});
  world.TrainAll(LossIsTrial);  // The first trial wins.
  v1::Study study = SmallStudy("random { trial_count: 1 }", 2);
  study.MergeFrom(Parse<v1::Study>(R"(
    training { initializer { chain {
      steps { mean { checkpoints: ["studies/1/winner/epochs/1",
                                   "studies/1/trials/2/epochs/1"] } }
      steps { shrink_perturb {} } } } }
    search { parameters { path: "initializer.chain.steps[0]" choice {
      values { struct_value { fields { key: "checkpoint" value {
        struct_value { fields { key: "checkpoint" value {
          string_value: "studies/1/winner/epochs/2" } } } } } } }
      values { struct_value { fields { key: "mean" value { struct_value {
        fields { key: "checkpoints" value { list_value {
          values { string_value: "studies/1/trials/2/epochs/2" }
          values { string_value: "studies/1/winner/epochs/0" }
        } } } } } } } } } } })"));

  world.Do(CreateStudy{{}, study});

  EXPECT_THAT(Wanted(world, "studies/2"),
              UnorderedElementsAre("1/trials/1/epochs/0 SOURCE_OF",
                                   "1/trials/1/epochs/1 SOURCE_OF",
                                   "1/trials/1/epochs/2 SOURCE_OF",
                                   "1/trials/2/epochs/1 SOURCE_OF",
                                   "1/trials/2/epochs/2 SOURCE_OF"));
  const v1::Study recorded = *world.scheduler().GetStudy("studies/2");
  EXPECT_THAT(recorded.ShortDebugString(), Not(HasSubstr("winner")));
  world.ExpectReplayEqual();
}

TEST(ReferencesTest, TellsWhoseSetChangedSince) {
  TestWorld world;
  world.Do(CreateStudy{{}, SmallStudy("random { trial_count: 9 }", 2)});
  world.Do(CreateStudy{{}, SmallStudy("random { trial_count: 9 }", 2)});
  const auto all = world.scheduler().OwnersChangedSince(0);
  ASSERT_EQ(all.size(), 2u);

  world.Call("workers/a", 1);  // Takes a trial of studies/1.

  const auto changed = world.scheduler().OwnersChangedSince(all[1].second);
  ASSERT_EQ(changed.size(), 1u);
  EXPECT_EQ(changed[0].first, "studies/1");
  EXPECT_EQ(world.scheduler().GetWantedReferences("studies/1")->generation,
            changed[0].second);

  world.Do(CancelStudy{{{}, "studies/2"}});
  world.Do(DeleteStudy{{{}, "studies/2"}});
  EXPECT_THAT(world.scheduler().OwnersChangedSince(0),
              Contains(Pair("studies/2", testing::Gt(all[1].second))));
  EXPECT_THAT(world.scheduler().GetWantedReferences("studies/7"),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace headstart::scheduler
