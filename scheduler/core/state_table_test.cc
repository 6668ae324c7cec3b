// Every state of a study, trial and training, against every command.
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/scheduler_world.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

constexpr char kRandom[] = "random { trial_count: 3 }";

double SameLoss(const v1::Assignment&, int64_t) { return 0.5; }

// studies/1 in `state`.
void MakeStudy(TestWorld& world, v1::Study::State state) {
  v1::Study study = SmallStudy(kRandom, 2);
  study.mutable_failure_policy()->set_max_retries(0);
  world.Do(CreateStudy{{}, study});
  switch (state) {
    case v1::Study::PAUSED:
      world.Do(PauseStudy{{{}, "studies/1"}});
      break;
    case v1::Study::SUCCEEDED:
      world.TrainAll(SameLoss);
      break;
    case v1::Study::FAILED:
      for (int trial = 1; trial <= 3; ++trial) {
        const auto answer = world.Call("workers/a", 1);
        v1::AttemptStatus status = TestWorld::StatusOf(
            answer.assignments(0).assignment(), v1::Attempt::FAILED);
        status.mutable_failure()->set_reason(v1::Failure::EXCEPTION);
        world.Call("workers/a", 1, {status});
      }
      break;
    case v1::Study::CANCELLED:
      world.Do(CancelStudy{{{}, "studies/1"}});
      break;
    default:
      break;
  }
  ASSERT_EQ(world.scheduler().GetStudy("studies/1")->state(), state);
}

enum class Expected { kDone, kNoChange, kRefused };

struct StudyCase {
  v1::Study::State state;
  Expected pause, resume, cancel, remove;
};

class StudyTable : public testing::TestWithParam<StudyCase> {
 protected:
  template <typename C>
  void Check(Expected expected, v1::Study::State after) {
    TestWorld world;
    MakeStudy(world, GetParam().state);
    C command;
    command.name = "studies/1";
    const absl::StatusOr<Outcome> outcome = world.Execute(command);
    if (expected == Expected::kRefused) {
      EXPECT_THAT(outcome,
                  StatusIs(absl::StatusCode::kFailedPrecondition, "studies/1"));
    } else {
      ASSERT_TRUE(outcome.ok()) << outcome.status();
      EXPECT_EQ(outcome->events.empty(), expected == Expected::kNoChange);
      if (std::is_same_v<C, DeleteStudy>) {
        EXPECT_THAT(world.scheduler().GetStudy("studies/1"),
                    StatusIs(absl::StatusCode::kNotFound));
      } else {
        EXPECT_EQ(world.scheduler().GetStudy("studies/1")->state(), after);
      }
    }
    world.ExpectReplayEqual();
  }
};

TEST_P(StudyTable, AnswersEveryCommand) {
  Check<PauseStudy>(GetParam().pause, v1::Study::PAUSED);
  Check<ResumeStudy>(GetParam().resume, v1::Study::RUNNING);
  Check<CancelStudy>(GetParam().cancel, v1::Study::CANCELLED);
  Check<DeleteStudy>(GetParam().remove, v1::Study::CANCELLED);
}

INSTANTIATE_TEST_SUITE_P(
    All, StudyTable,
    testing::Values(
        StudyCase{v1::Study::RUNNING, Expected::kDone, Expected::kNoChange,
                  Expected::kDone, Expected::kRefused},
        StudyCase{v1::Study::PAUSED, Expected::kNoChange, Expected::kDone,
                  Expected::kDone, Expected::kRefused},
        StudyCase{v1::Study::SUCCEEDED, Expected::kRefused, Expected::kRefused,
                  Expected::kRefused, Expected::kDone},
        StudyCase{v1::Study::FAILED, Expected::kRefused, Expected::kRefused,
                  Expected::kRefused, Expected::kDone},
        StudyCase{v1::Study::CANCELLED, Expected::kRefused, Expected::kRefused,
                  Expected::kNoChange, Expected::kDone}),
    [](const auto& info) { return v1::Study::State_Name(info.param.state); });

// studies/1/trials/1 in `state`, the study RUNNING but for CANCELLED.
void MakeTrial(TestWorld& world, v1::Trial::State state) {
  v1::Study study = SmallStudy("asha { trial_count: 20 reduction: 2 }", 4);
  study.mutable_failure_policy()->set_max_retries(0);
  world.Do(CreateStudy{{}, study});
  const v1::Assignment work =
      world.Call("workers/a", 1).assignments(0).assignment();
  ASSERT_EQ(work.run(), "studies/1/trials/1");
  const auto fail = [&](v1::Failure::Reason reason) {
    v1::AttemptStatus status = TestWorld::StatusOf(work, v1::Attempt::FAILED);
    status.mutable_failure()->set_reason(reason);
    world.Call("workers/a", 1, {status});
  };
  switch (state) {
    case v1::Trial::WAITING:
      world.Do(CordonWorker{{{}, "workers/a"}});
      world.Call("workers/a", 1,
                 {TestWorld::StatusOf(work, v1::Attempt::RELEASED)});
      break;
    case v1::Trial::PAUSED:
      world.Call("workers/a", 1, {TestWorld::Trained(work, SameLoss)});
      break;
    case v1::Trial::SUCCEEDED: {
      // The best of all trials goes through every rung.
      v1::SynchronizeResponse answer =
          world.Call("workers/a", 1, {TestWorld::Trained(work, SameLoss)});
      while (world.scheduler().GetTrial("studies/1/trials/1")->state() !=
             v1::Trial::SUCCEEDED) {
        answer = world.Call(
            "workers/a", 1,
            {TestWorld::Trained(answer.assignments(0).assignment(), SameLoss)});
      }
      break;
    }
    case v1::Trial::STOPPED:
      world.Do(StopTrial{{{}, work.run()}});
      break;
    case v1::Trial::INFEASIBLE:
      fail(v1::Failure::NON_FINITE_LOSS);
      break;
    case v1::Trial::FAILED:
      fail(v1::Failure::OUT_OF_MEMORY);
      break;
    case v1::Trial::CANCELLED:
      world.Do(CancelStudy{{{}, "studies/1"}});
      break;
    default:
      break;
  }
  ASSERT_EQ(world.scheduler().GetTrial("studies/1/trials/1")->state(), state);
}

struct TrialCase {
  v1::Trial::State state;
  Expected stop, retry;
};

class TrialTable : public testing::TestWithParam<TrialCase> {};

TEST_P(TrialTable, AnswersStop) {
  TestWorld world;
  MakeTrial(world, GetParam().state);

  const auto outcome = world.Execute(StopTrial{{{}, "studies/1/trials/1"}});

  if (GetParam().stop == Expected::kRefused) {
    EXPECT_THAT(outcome, StatusIs(absl::StatusCode::kFailedPrecondition,
                                  v1::Trial::State_Name(GetParam().state)));
  } else {
    ASSERT_THAT(outcome, IsOk());
    EXPECT_EQ(outcome->events.empty(), GetParam().stop == Expected::kNoChange);
    const v1::Trial trial = *world.scheduler().GetTrial("studies/1/trials/1");
    EXPECT_EQ(trial.state(), v1::Trial::STOPPED);
    // Its slot trains something else at once.
    for (const Lease& lease : world.scheduler().Leases()) {
      EXPECT_NE(lease.run, "studies/1/trials/1");
    }
  }
  world.ExpectReplayEqual();
}

TEST_P(TrialTable, AnswersRetry) {
  TestWorld world;
  MakeTrial(world, GetParam().state);
  world.Do(CordonWorker{{{}, "workers/a"}});

  const auto outcome = world.Execute(RetryTrial{{{}, "studies/1/trials/1"}});

  if (GetParam().retry == Expected::kRefused) {
    EXPECT_THAT(outcome, StatusIs(absl::StatusCode::kFailedPrecondition,
                                  v1::Trial::State_Name(GetParam().state)));
  } else {
    ASSERT_THAT(outcome, IsOk());
    EXPECT_EQ(world.scheduler().GetTrial("studies/1/trials/1")->state(),
              v1::Trial::WAITING);
  }
  world.ExpectReplayEqual();
}

INSTANTIATE_TEST_SUITE_P(
    All, TrialTable,
    testing::Values(
        TrialCase{v1::Trial::WAITING, Expected::kDone, Expected::kRefused},
        TrialCase{v1::Trial::TRAINING, Expected::kDone, Expected::kRefused},
        TrialCase{v1::Trial::PAUSED, Expected::kDone, Expected::kRefused},
        TrialCase{v1::Trial::SUCCEEDED, Expected::kRefused, Expected::kRefused},
        TrialCase{v1::Trial::STOPPED, Expected::kNoChange, Expected::kRefused},
        TrialCase{v1::Trial::INFEASIBLE, Expected::kRefused,
                  Expected::kRefused},
        TrialCase{v1::Trial::FAILED, Expected::kRefused, Expected::kDone},
        TrialCase{v1::Trial::CANCELLED, Expected::kRefused,
                  Expected::kRefused}),
    [](const auto& info) { return v1::Trial::State_Name(info.param.state); });

// trainings/1 in `state`, from the winner of a study; RUNNING with a live
// attempt.
void MakeTraining(TestWorld& world, v1::Training::State state) {
  world.Do(CreateStudy{{}, SmallStudy(kRandom, 2)});
  world.TrainAll(SameLoss);
  world.Do(CreateTraining{{}, Parse<v1::Training>(R"(
    from { winner { study: "studies/1" epoch: 1 } } seeds: [1, 2])")});
  switch (state) {
    case v1::Training::RUNNING:
      world.Do(SourceConfirmed{"trainings/1"});
      world.Call("workers/a", 1);
      ASSERT_EQ(world.scheduler().Leases().size(), 1u);
      break;
    case v1::Training::SUCCEEDED:
      world.Do(SourceConfirmed{"trainings/1"});
      world.TrainAll(SameLoss);
      break;
    case v1::Training::FAILED:
      world.Do(SourceMissing{"trainings/1", "It was collected."});
      break;
    case v1::Training::CANCELLED:
      world.Do(CancelTraining{{{}, "trainings/1"}});
      break;
    default:
      break;
  }
  ASSERT_EQ(world.scheduler().GetTraining("trainings/1")->state(), state);
}

struct TrainingCase {
  v1::Training::State state;
  Expected cancel, remove;
};

class TrainingTable : public testing::TestWithParam<TrainingCase> {};

TEST_P(TrainingTable, AnswersCancel) {
  TestWorld world;
  MakeTraining(world, GetParam().state);

  const auto outcome = world.Execute(CancelTraining{{{}, "trainings/1"}});

  ASSERT_THAT(outcome, IsOk());
  EXPECT_EQ(outcome->events.empty(), GetParam().cancel == Expected::kNoChange);
  const v1::Training after = *world.scheduler().GetTraining("trainings/1");
  EXPECT_EQ(after.state(), GetParam().cancel == Expected::kNoChange
                               ? GetParam().state
                               : v1::Training::CANCELLED);
  EXPECT_EQ(world.scheduler().Leases().size(), 0u);
  world.ExpectReplayEqual();
}

TEST_P(TrainingTable, AnswersDelete) {
  TestWorld world;
  MakeTraining(world, GetParam().state);

  const auto outcome = world.Execute(DeleteTraining{{{}, "trainings/1"}});

  if (GetParam().remove == Expected::kRefused) {
    EXPECT_THAT(outcome, StatusIs(absl::StatusCode::kFailedPrecondition,
                                  v1::Training::State_Name(GetParam().state)));
  } else {
    ASSERT_THAT(outcome, IsOk());
    EXPECT_THAT(world.scheduler().GetTraining("trainings/1"),
                StatusIs(absl::StatusCode::kNotFound));
    // It starts from its checkpoint no more.
    world.Do(DeleteStudy{{{}, "studies/1"}});
  }
  world.ExpectReplayEqual();
}

INSTANTIATE_TEST_SUITE_P(
    All, TrainingTable,
    testing::Values(TrainingCase{v1::Training::PREPARING, Expected::kDone,
                                 Expected::kRefused},
                    TrainingCase{v1::Training::RUNNING, Expected::kDone,
                                 Expected::kRefused},
                    TrainingCase{v1::Training::SUCCEEDED, Expected::kNoChange,
                                 Expected::kDone},
                    TrainingCase{v1::Training::FAILED, Expected::kNoChange,
                                 Expected::kDone},
                    TrainingCase{v1::Training::CANCELLED, Expected::kNoChange,
                                 Expected::kDone}),
    [](const auto& info) {
      return v1::Training::State_Name(info.param.state);
    });

TEST(CommandTest, NamesThatAreNotThere) {
  TestWorld world;
  EXPECT_THAT(world.Refusal(PauseStudy{{{}, "studies/7"}}),
              StatusIs(absl::StatusCode::kNotFound, "studies/7"));
  EXPECT_THAT(world.Refusal(PauseStudy{{{}, "study 7"}}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(world.Refusal(StopTrial{{{}, "studies/7/trials/1"}}),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(world.Refusal(StopTrial{{{}, "studies/7/winner"}}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(world.Refusal(CancelTraining{{{}, "trainings/1"}}),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(world.Refusal(DrainWorker{{{}, "workers/x"}}),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(world.scheduler().event_count(), 0);
}

TEST(CommandTest, AnswersARepeatedRequestWithTheFirstAnswer) {
  TestWorld world;
  const RequestKey key{"id-1", "CreateStudy", "fingerprint"};
  const CreateStudy command{key, SmallStudy(kRandom, 2)};
  EXPECT_EQ(world.Do(command), "studies/1");
  const std::string before = world.scheduler().DebugState();

  EXPECT_EQ(world.Do(command), "studies/1");
  EXPECT_EQ(world.scheduler().DebugState(), before);

  CreateStudy other = command;
  other.request.fingerprint = "another";
  EXPECT_THAT(world.Refusal(other),
              StatusIs(absl::StatusCode::kInvalidArgument, "id-1"));
  EXPECT_THAT(world.Refusal(PauseStudy{
                  {{"id-1", "PauseStudy", "fingerprint"}, "studies/1"}}),
              StatusIs(absl::StatusCode::kInvalidArgument, "CreateStudy"));
  world.ExpectReplayEqual();
}

TEST(CommandTest, ForgetsAnswersAfterTenThousand) {
  TestWorld world;
  world.Do(CreateStudy{{"first", "C", "f"}, SmallStudy(kRandom, 2)});
  for (int i = 0; i < 10'000; ++i) {
    world.Do(ResumeStudy{{{absl::StrCat("id", i), "R", "f"}, "studies/1"}});
  }

  // The first id is new again.
  EXPECT_EQ(world.Do(CreateStudy{{"first", "C", "f"}, SmallStudy(kRandom, 2)}),
            "studies/2");
}

}  // namespace
}  // namespace headstart::scheduler
