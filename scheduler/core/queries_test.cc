// What users and the service ask, and who gets work.
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/scheduler_world.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

double LossIsTrial(const v1::Assignment& work, int64_t) {
  return std::stod(work.run().substr(17));
}

std::vector<std::string> RunsOf(const v1::SynchronizeResponse& answer) {
  std::vector<std::string> runs;
  for (const auto& slot : answer.assignments()) {
    runs.push_back(slot.assignment().run());
  }
  return runs;
}

TEST(WorkTest, SharesSlotsBetweenOwners) {
  TestWorld world;
  world.Do(CreateStudy{{}, SmallStudy("random { trial_count: 9 }", 2)});
  world.Do(CreateStudy{{}, SmallStudy("random { trial_count: 9 }", 2)});
  v1::Training training;
  *training.mutable_training() = SmallStudy("", 2).training();
  training.add_seeds(1);
  training.add_seeds(2);
  world.Do(CreateTraining{{}, training});

  // Fewest live attempts first; then trainings before studies; then the older.
  EXPECT_THAT(RunsOf(world.Call("workers/a", 6)),
              ElementsAre("trainings/1/runs/1", "studies/1/trials/1",
                          "studies/2/trials/1", "trainings/1/runs/2",
                          "studies/1/trials/2", "studies/2/trials/2"));
}

TEST(WorkTest, GoesOnWithWhatWaitsBeforeStartingAnew) {
  TestWorld world;
  world.Do(
      CreateStudy{{}, SmallStudy("asha { trial_count: 9 reduction: 2 }", 4)});
  auto answer = world.Call("workers/a", 1);
  for (int i = 0; i < 2; ++i) {
    answer = world.Call(
        "workers/a", 1,
        {TestWorld::Trained(answer.assignments(0).assignment(), LossIsTrial)});
  }
  // Of two results the better one is promoted before trial 3 starts.
  ASSERT_THAT(RunsOf(answer), ElementsAre("studies/1/trials/1"));
  EXPECT_EQ(answer.assignments(0).assignment().until_epoch(), 2);
  EXPECT_EQ(answer.assignments(0).assignment().from_epoch(), 1);

  world.Do(LeaseExpired{"studies/1/trials/1", 2});

  EXPECT_THAT(RunsOf(world.Call("workers/a", 1)),
              ElementsAre("studies/1/trials/1"));
}

TEST(WorkTest, GivesWorkOnlyToWorkersWithTheDataset) {
  TestWorld world;
  v1::Study study = SmallStudy("random { trial_count: 2 }", 2);
  *study.mutable_training() = Parse<v1::TrainingSpec>(R"(
    model { small_cnn {} } dataset { cifar10 { validation_examples: 1000 } }
    epochs: 2 batch_size: 60 optimizer { adam { learning_rate: 0.001 } })");
  world.Do(CreateStudy{{}, study});
  EXPECT_THAT(world.scheduler().GetStudy("studies/1")->state_message(),
              HasSubstr("no worker is ready"));

  EXPECT_THAT(RunsOf(world.Call("workers/a", 1)), IsEmpty());

  EXPECT_THAT(world.scheduler().GetStudy("studies/1")->state_message(),
              HasSubstr("no worker has the dataset cifar10; workers/a offers "
                        "mnist"));
  v1::SynchronizeRequest request = TestWorld::Message("workers/a", 1, {});
  request.add_datasets("cifar10");
  world.Do(Synchronize{request});
  EXPECT_THAT(RunsOf(world.scheduler().AnswerWorker(request)),
              ElementsAre("studies/1/trials/1"));
  EXPECT_EQ(world.scheduler().GetStudy("studies/1")->state_message(), "");
}

TEST(WorkTest, SaysWhichWorkersAreHeldBack) {
  TestWorld world;
  world.Do(CreateStudy{{}, SmallStudy("random { trial_count: 2 }", 2)});
  const auto why = [&] {
    return world.scheduler().GetStudy("studies/1")->state_message();
  };
  for (const char* worker : {"workers/a", "workers/b", "workers/c"}) {
    world.Call(worker, 0);
  }
  world.Do(CordonWorker{{{}, "workers/c"}});
  world.Do(DrainWorker{{{}, "workers/b"}});
  world.Do(WorkerGone{"workers/a"});

  EXPECT_EQ(why(),
            "no worker is ready: 1 cordoned, 1 draining. Give one work again "
            "with headstart workers uncordon workers/b.");
  world.Do(UncordonWorker{{{}, "workers/b"}});
  EXPECT_THAT(why(), testing::Not(HasSubstr("uncordon")));
  world.Do(WorkerGone{"workers/b"});
  world.Do(WorkerGone{"workers/c"});
  EXPECT_THAT(why(), HasSubstr("no worker is ready. Start one"));
}

TEST(WorkTest, ShowsWhatAttemptsWaitForAndRecordsNothingOfIt) {
  TestWorld world;
  world.Do(CreateStudy{{}, SmallStudy("random { trial_count: 2 }", 2)});
  v1::Training training;
  *training.mutable_training() = SmallStudy("", 2).training();
  training.add_seeds(1);
  world.Do(CreateTraining{{}, training});
  std::vector<v1::AttemptStatus> attempts;
  const v1::SynchronizeResponse answer = world.Call("workers/a", 3);
  for (const v1::SlotAssignment& slot : answer.assignments()) {
    attempts.push_back(
        TestWorld::StatusOf(slot.assignment(), v1::Attempt::RUNNING));
  }
  ASSERT_EQ(attempts.size(), 3u);
  const auto message = [&] {
    return world.scheduler().GetStudy("studies/1")->state_message();
  };
  world.Call("workers/a", 3, attempts);
  const size_t recorded = world.journal().size();
  const int64_t version = world.scheduler().WaitingVersion();

  for (v1::AttemptStatus& each : attempts) {
    each.set_waiting_for("storage, which is full");
  }
  world.Call("workers/a", 3, attempts);

  EXPECT_EQ(message(),
            "studies/1/trials/1 waits for storage, which is full (1 more wait, "
            "too)");
  EXPECT_EQ(world.scheduler().GetTraining("trainings/1")->state_message(),
            "trainings/1/runs/1 waits for storage, which is full");
  EXPECT_THAT(world.scheduler().ExplainTrial("studies/1/trials/2")->now(),
              HasSubstr("waits for storage"));
  EXPECT_GT(world.scheduler().WaitingVersion(), version);
  EXPECT_EQ(world.journal().size(), recorded);

  for (v1::AttemptStatus& each : attempts) each.clear_waiting_for();
  world.Call("workers/a", 3, attempts);
  EXPECT_EQ(message(), "");

  // What was said of an attempt that has ended is nothing any more.
  for (v1::AttemptStatus& each : attempts) each.set_waiting_for("storage");
  world.Call("workers/a", 3, attempts);
  EXPECT_THAT(message(), HasSubstr("waits for storage"));
  for (const v1::AttemptStatus& each : attempts) {
    world.Do(LeaseExpired{each.run(), each.attempt()});
  }
  EXPECT_THAT(message(), Not(HasSubstr("waits for storage")));
  world.ExpectReplayEqual();
}

TEST(WorkTest, TellsWhoseWorkChangedSince) {
  TestWorld world;
  world.Call("workers/a", 1);
  world.Call("workers/b", 1);
  const int64_t before = world.scheduler().event_count();
  world.Do(CreateStudy{{}, SmallStudy("random { trial_count: 1 }", 2)});

  EXPECT_THAT(world.scheduler().WorkersChangedSince(before),
              ElementsAre("workers/a"));
  EXPECT_GT(world.scheduler().WorkerVersion("workers/a"), before);
  EXPECT_EQ(world.scheduler().WorkerVersion("workers/c"), 0);
  ASSERT_EQ(world.scheduler().Leases().size(), 1u);
  EXPECT_EQ(world.scheduler().Leases()[0].run, "studies/1/trials/1");
}

TEST(WorkTest, MakesATrialInfeasibleWhoseValuesDoNotGoTogether) {
  TestWorld world;
  v1::Study study = SmallStudy("grid {}", 2);
  *study.mutable_training()->mutable_optimizer() =
      Parse<v1::Optimizer>("sgd { learning_rate: 0.1 }");
  *study.mutable_search() = Parse<v1::Search>(R"(
    grid {}
    parameters { path: "optimizer.sgd.nesterov"
                 choice { values { bool_value: true } } }
    parameters { path: "optimizer.sgd.momentum"
                 double_list { values: [0, 0.9] } })");
  world.Do(CreateStudy{{}, study});

  EXPECT_THAT(RunsOf(world.Call("workers/a", 1)),
              ElementsAre("studies/1/trials/2"));

  const v1::Trial trial = *world.scheduler().GetTrial("studies/1/trials/1");
  EXPECT_EQ(trial.state(), v1::Trial::INFEASIBLE);
  EXPECT_EQ(trial.failure().reason(), v1::Failure::INVALID_SPEC);
  EXPECT_THAT(trial.failure().message(), HasSubstr("momentum"));
}

class ListTest : public testing::Test {
 protected:
  void SetUp() override {
    world_.Do(CreateStudy{{}, SmallStudy("random { trial_count: 7 }", 2)});
    world_.TrainAll([](const v1::Assignment& work, int64_t) {
      return -LossIsTrial(work, 0);
    });
  }
  std::vector<std::string> Trials(const std::string& request) {
    std::vector<std::string> names;
    const v1::ListTrialsResponse response = *world_.scheduler().ListTrials(
        Parse<v1::ListTrialsRequest>("parent: 'studies/1' " + request));
    for (const v1::Trial& trial : response.trials()) {
      names.push_back(trial.name().substr(17));
      EXPECT_EQ(trial.epochs_size(), 0);
      EXPECT_EQ(trial.values_size(), 1);
    }
    token_ = response.next_page_token();
    return names;
  }

  TestWorld world_;
  std::string token_;
};

TEST_F(ListTest, PagesThroughTrials) {
  EXPECT_THAT(Trials("page_size: 3"), ElementsAre("1", "2", "3"));
  EXPECT_THAT(Trials("page_size: 3 page_token: '" + token_ + "'"),
              ElementsAre("4", "5", "6"));
  EXPECT_THAT(Trials("page_size: 3 page_token: '" + token_ + "'"),
              ElementsAre("7"));
  EXPECT_EQ(token_, "");
  Trials("page_size: 7");
  EXPECT_EQ(token_, "");
}

TEST_F(ListTest, ListsTheBestAndByState) {
  EXPECT_THAT(Trials("best: 3"), ElementsAre("7", "6", "5"));
  EXPECT_THAT(Trials("state: FAILED"), IsEmpty());
  EXPECT_THAT(Trials("state: SUCCEEDED page_size: 1"), ElementsAre("1"));
}

TEST_F(ListTest, RefusesWhatIsNoPage) {
  const auto list = [&](const std::string& request) {
    return world_.scheduler()
        .ListTrials(Parse<v1::ListTrialsRequest>(request))
        .status();
  };
  EXPECT_THAT(list("parent: 'studies/1' page_size: -1"),
              StatusIs(absl::StatusCode::kInvalidArgument, "page_size"));
  EXPECT_THAT(list("parent: 'studies/1' page_size: 1001"),
              StatusIs(absl::StatusCode::kInvalidArgument, "page_size"));
  EXPECT_THAT(list("parent: 'studies/1' page_token: 'x'"),
              StatusIs(absl::StatusCode::kInvalidArgument, "page_token"));
  EXPECT_THAT(list("parent: 'studies/1' best: 2000"),
              StatusIs(absl::StatusCode::kInvalidArgument, "best"));
  EXPECT_THAT(list("parent: 'studies/3'"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ListTest, PagesThroughStudies) {
  world_.Do(CreateStudy{{}, SmallStudy("random { trial_count: 7 }", 2)});
  v1::ListStudiesRequest request;
  request.set_page_size(1);
  v1::ListStudiesResponse page = *world_.scheduler().ListStudies(request);
  EXPECT_EQ(page.studies(0).name(), "studies/1");
  request.set_page_token(page.next_page_token());
  page = *world_.scheduler().ListStudies(request);
  EXPECT_EQ(page.studies(0).name(), "studies/2");
  EXPECT_EQ(page.next_page_token(), "");
  EXPECT_THAT(world_.scheduler().LiveStudies(50), ElementsAre("studies/2"));
}

TEST_F(ListTest, PagesThroughWorkers) {
  world_.Call("workers/c", 1);
  world_.Call("workers/b", 1);
  v1::ListWorkersRequest request;
  request.set_page_size(2);
  v1::ListWorkersResponse page = *world_.scheduler().ListWorkers(request);
  ASSERT_EQ(page.workers_size(), 2);
  EXPECT_EQ(page.workers(0).name(), "workers/a");
  EXPECT_EQ(page.workers(1).name(), "workers/b");
  request.set_page_token(page.next_page_token());
  page = *world_.scheduler().ListWorkers(request);
  ASSERT_EQ(page.workers_size(), 1);
  EXPECT_EQ(page.workers(0).name(), "workers/c");
  EXPECT_EQ(page.next_page_token(), "");
  request.set_page_token("7");
  EXPECT_THAT(world_.scheduler().ListWorkers(request),
              StatusIs(absl::StatusCode::kInvalidArgument, "page_token"));
}

TEST_F(ListTest, PagesThroughTrainings) {
  v1::Training training;
  *training.mutable_training() = SmallStudy("", 2).training();
  training.add_seeds(1);
  for (int i = 0; i < 3; ++i) world_.Do(CreateTraining{{}, training});
  v1::ListTrainingsRequest request;
  request.set_page_size(2);
  v1::ListTrainingsResponse page = *world_.scheduler().ListTrainings(request);
  ASSERT_EQ(page.trainings_size(), 2);
  EXPECT_EQ(page.trainings(0).name(), "trainings/1");
  EXPECT_EQ(page.trainings(1).name(), "trainings/2");
  request.set_page_token(page.next_page_token());
  page = *world_.scheduler().ListTrainings(request);
  ASSERT_EQ(page.trainings_size(), 1);
  EXPECT_EQ(page.trainings(0).name(), "trainings/3");
  EXPECT_EQ(page.next_page_token(), "");
  request.set_page_token("x");
  EXPECT_THAT(world_.scheduler().ListTrainings(request),
              StatusIs(absl::StatusCode::kInvalidArgument, "page_token"));
}

TEST_F(ListTest, FindsTheWinnerByItsName) {
  EXPECT_EQ(world_.scheduler().GetTrial("studies/1/winner")->name(),
            "studies/1/trials/7");
  world_.Do(CreateStudy{{}, SmallStudy("random { trial_count: 7 }", 2)});
  EXPECT_THAT(world_.scheduler().GetTrial("studies/2/winner"),
              StatusIs(absl::StatusCode::kFailedPrecondition, "no winner"));
}

TEST_F(ListTest, CountsWhatThereIs) {
  const Counts counts = world_.scheduler().GetCounts();
  EXPECT_EQ(counts.studies[v1::Study::SUCCEEDED], 1);
  EXPECT_EQ(counts.trials[v1::Trial::SUCCEEDED], 7);
  EXPECT_EQ(counts.workers[v1::Worker::READY], 1);
  const v1::Study study = *world_.scheduler().GetStudy("studies/1");
  EXPECT_EQ(study.trial_counts().succeeded(), 7);
  EXPECT_EQ(study.recorded_epochs(), 14);
  EXPECT_EQ(study.best_objective(), -7);
  EXPECT_EQ(study.best_epoch(), 2);
}

TEST(ExplainTest, SaysWhyATrialWasPromotedAndWhyAnotherWasStopped) {
  TestWorld world;
  world.Do(
      CreateStudy{{}, SmallStudy("asha { trial_count: 3 reduction: 3 }", 9)});
  world.TrainAll(LossIsTrial);

  const v1::ExplainTrialResponse promoted =
      *world.scheduler().ExplainTrial("studies/1/trials/1");
  std::vector<v1::TrialDecision::Kind> kinds;
  for (const auto& decision : promoted.decisions()) {
    kinds.push_back(decision.kind());
    EXPECT_TRUE(decision.has_decide_time());
  }
  // Alone at epoch 3 it has no share: one of one is less than one in three.
  EXPECT_THAT(
      kinds, ElementsAre(v1::TrialDecision::STARTED, v1::TrialDecision::PAUSED,
                         v1::TrialDecision::PROMOTED, v1::TrialDecision::PAUSED,
                         v1::TrialDecision::STOPPED));
  EXPECT_THAT(promoted.decisions(2).text(), HasSubstr("place 1 of 3 there"));

  const v1::ExplainTrialResponse stopped =
      *world.scheduler().ExplainTrial("studies/1/trials/2");
  EXPECT_EQ(stopped.decisions().rbegin()->kind(), v1::TrialDecision::STOPPED);
  EXPECT_THAT(stopped.decisions().rbegin()->text(), HasSubstr("place 2 of"));
  EXPECT_THAT(stopped.now(), HasSubstr("the search stopped it"));
}

TEST(ExplainTest, SaysWhatHoldsATrialNow) {
  TestWorld world;
  world.Do(CreateStudy{{}, SmallStudy("random { trial_count: 3 }", 9)});
  world.Call("workers/a", 1);
  const auto now = [&] {
    return world.scheduler().ExplainTrial("studies/1/trials/1")->now();
  };
  EXPECT_THAT(now(), HasSubstr("Attempt 1 on workers/a, slot cpu:0"));
  world.Do(WorkerGone{"workers/a"});
  world.Do(LeaseExpired{"studies/1/trials/1", 1});
  EXPECT_THAT(now(), HasSubstr("no worker is ready"));
  world.Do(StopTrial{{{}, "studies/1/trials/1"}});
  EXPECT_THAT(now(), HasSubstr("a person stopped it"));
}

TEST(ReplayTest, NamesADecisionThatComesOutDifferently) {
  TestWorld world;
  world.Do(
      CreateStudy{{}, SmallStudy("asha { trial_count: 6 reduction: 2 }", 4)});
  world.TrainAll(LossIsTrial);
  StudyReplay replay(1);
  for (Event event : world.journal()) {
    if (event.trial_promoted().until_epoch() == 4) {
      event.mutable_trial_promoted()->mutable_decision()->set_rank(7);
    }
    replay.Next(event);
  }
  ASSERT_EQ(replay.Finish().differences_size(), 1);
  EXPECT_THAT(replay.Finish().differences(0), HasSubstr("rank: 7"));
}

}  // namespace
}  // namespace headstart::scheduler
