// The agent when trainers, scheduler or storage fail it.
#include "worker/agent/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "worker/agent/agent_world.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;

class AgentFailureTest : public ::testing::Test,
                         protected TempDir,
                         protected AgentWorld {
 protected:
  AgentFailureTest() : AgentWorld(TempDir::path()) {}
};

TEST_F(AgentFailureTest, SaysWhichSourceIsNotThere) {
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(2, 7, 9));

  const HeardAttempt attempt = scheduler_->AwaitEnd(kRun, 2);

  EXPECT_EQ(attempt.last.state(), v1::Attempt::FAILED);
  EXPECT_EQ(attempt.last.failure().reason(), v1::Failure::SOURCE_UNAVAILABLE);
  EXPECT_THAT(attempt.last.failure().message(), HasSubstr("epochs/7"));
}

// An attempt that starts from two checkpoints.
v1::Assignment FromTheMeanOf(const std::string& first,
                             const std::string& second) {
  v1::Assignment assignment = MakeAssignment(1, 0, 1);
  assignment.set_run("trainings/1/runs/1");
  v1::MeanOfCheckpoints& mean =
      *assignment.mutable_training()->mutable_initializer()->mutable_mean();
  mean.add_checkpoints(first);
  mean.add_checkpoints(second);
  return assignment;
}

TEST_F(AgentFailureTest, SaysWhichOfSeveralSourcesIsNotThere) {
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 2));
  scheduler_->AwaitEnd(kRun, 1);
  scheduler_->Assign("cpu:0", FromTheMeanOf(absl::StrCat(kRun, "/epochs/2"),
                                            "studies/1/trials/3/epochs/4"));

  const v1::Failure failure =
      scheduler_->AwaitEnd("trainings/1/runs/1", 1).last.failure();

  EXPECT_EQ(failure.reason(), v1::Failure::SOURCE_UNAVAILABLE);
  EXPECT_THAT(failure.message(), HasSubstr("studies/1/trials/3/epochs/4"));
}

TEST_F(AgentFailureTest, RefusesADamagedSourceAndOneWithoutItsResumePart) {
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 2));
  scheduler_->AwaitEnd(kRun, 1);
  storage_->DropResumeManifest(absl::StrCat(kRun, "/epochs/1"));
  scheduler_->Assign("cpu:0", MakeAssignment(2, 1, 3));
  EXPECT_THAT(scheduler_->AwaitEnd(kRun, 2).last.failure().message(),
              HasSubstr("was let go"));

  storage_->DamageBlobs();
  scheduler_->Assign("cpu:0", MakeAssignment(3, 2, 3));
  const v1::Failure failure = scheduler_->AwaitEnd(kRun, 3).last.failure();

  EXPECT_EQ(failure.reason(), v1::Failure::SOURCE_UNAVAILABLE);
  EXPECT_THAT(failure.message(), HasSubstr("w: "));
}

TEST_F(AgentFailureTest, KillsATrainerThatDoesNotStop) {
  SetStubTrainerRules("attempt=1,epoch=2,do=hang");
  AgentOptions options = Options();
  options.stop_patience = absl::Milliseconds(50);
  StartAgent(options);
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100));
  scheduler_->AwaitReport(kRun, 1, 1);

  scheduler_->Assign("cpu:0", MakeAssignment(2, 1, 2));

  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 1).last.state(), v1::Attempt::RELEASED);
  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 2).last.state(), v1::Attempt::SUCCEEDED);
}

TEST_F(AgentFailureTest, KillsATrainerThatSaysNothing) {
  SetStubTrainerRules("attempt=1,epoch=2,do=hang");
  AgentOptions options = Options();
  options.trainer_timeout = absl::Milliseconds(200);
  StartAgent(options);
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100));

  const v1::AttemptStatus last = scheduler_->AwaitEnd(kRun, 1).last;

  EXPECT_EQ(last.state(), v1::Attempt::FAILED);
  EXPECT_EQ(last.failure().reason(), v1::Failure::EXIT);
  EXPECT_EQ(last.failure().exit_signal(), 0);
  EXPECT_THAT(last.failure().message(), HasSubstr("said nothing for 200ms"));
}

TEST_F(AgentFailureTest, KillsATrainerThatDoesNotRead) {
  SetStubTrainerRules("attempt=1,epoch=2,do=deaf");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100));
  scheduler_->Await([](const FakeScheduler::Heard& heard) {
    auto attempt = heard.find({kRun, 1});
    return attempt != heard.end() &&
           attempt->second.last.epoch_progress() == 1.0;
  });

  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100), /*release=*/true);

  const v1::AttemptStatus last = scheduler_->AwaitEnd(kRun, 1).last;
  EXPECT_EQ(last.state(), v1::Attempt::FAILED);
  EXPECT_THAT(last.failure().message(), HasSubstr("did not read"));
}

TEST_F(AgentFailureTest, WaitsLongerAndLongerForTrainersThatFaint) {
  SetStubTrainerRules("attempt=0,epoch=0,do=faint");
  AgentOptions options = Options();
  options.slots.pop_back();
  const absl::Duration start = Clock::Real().Monotonic();
  StartAgent(options);

  int starts = 0;
  while (starts < 5) {
    scheduler_->AwaitCalls(1);
    ASSERT_TRUE(absl::SimpleAtoi(
        Metric("headstart_worker_trainer_starts_total"), &starts));
  }

  // The pauses between five starts, each at its shortest.
  EXPECT_GE(Clock::Real().Monotonic() - start,
            absl::Milliseconds(50 + 100 + 200 + 400));
}

TEST_F(AgentFailureTest, SaysWhichSignalEndedTheTrainer) {
  SetStubTrainerRules("attempt=1,epoch=3,do=signal:11");
  StartAgent();
  const auto expected = ExpectedDigests(2);
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 4));

  const HeardAttempt attempt = scheduler_->AwaitEnd(kRun, 1);

  EXPECT_EQ(attempt.last.state(), v1::Attempt::FAILED);
  EXPECT_EQ(attempt.last.failure().reason(), v1::Failure::SIGNAL);
  EXPECT_EQ(attempt.last.failure().exit_signal(), 11);
  EXPECT_THAT(attempt.last.failure().message(), HasSubstr("Segmentation"));
  EXPECT_THAT(attempt.last.failure().log_tail(), HasSubstr("about to crash"));
  // What was snapshotted before is stored and reported.
  EXPECT_THAT(attempt.reports, ElementsAre(Key(0), Key(1), Key(2)));
  EXPECT_EQ(Digests(), expected);
  auto log = ReadFile(folder_ + "/trainer-cpu-0.log");
  ASSERT_OK(log);
  EXPECT_THAT(*log, HasSubstr("about to crash"));

  scheduler_->Assign("cpu:0", MakeAssignment(2, 2, 3));
  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 2).last.state(), v1::Attempt::SUCCEEDED);
}

TEST_F(AgentFailureTest, SaysWhichSignalEndedTheTrainerWithinALine) {
  SetStubTrainerRules("attempt=1,epoch=1,do=cut");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 4));

  const v1::Failure failure = scheduler_->AwaitEnd(kRun, 1).last.failure();

  EXPECT_EQ(failure.reason(), v1::Failure::SIGNAL);
  EXPECT_EQ(failure.exit_signal(), 9);
}

TEST_F(AgentFailureTest, HintsAtMemoryWhenTheKernelKills) {
  SetStubTrainerRules("attempt=1,epoch=1,do=signal:9");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 4));

  const v1::Failure failure = scheduler_->AwaitEnd(kRun, 1).last.failure();

  EXPECT_EQ(failure.exit_signal(), 9);
  EXPECT_THAT(failure.message(), HasSubstr("memory"));
}

TEST_F(AgentFailureTest, PassesOnWhyATrainerFailed) {
  SetStubTrainerRules("attempt=1,epoch=2,do=nan;attempt=2,epoch=1,do=exit:3");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 4));
  const v1::Failure nan = scheduler_->AwaitEnd(kRun, 1).last.failure();
  scheduler_->Assign("cpu:0", MakeAssignment(2, 0, 4));
  const v1::Failure exit = scheduler_->AwaitEnd(kRun, 2).last.failure();

  EXPECT_EQ(nan.reason(), v1::Failure::NON_FINITE_LOSS);
  EXPECT_EQ(nan.message(), "loss is NaN");
  EXPECT_EQ(exit.reason(), v1::Failure::EXIT);
  EXPECT_THAT(exit.message(), HasSubstr("exit code 3"));
}

TEST_F(AgentFailureTest, EndsATrainerThatBreaksTheProtocol) {
  SetStubTrainerRules(
      "attempt=1,epoch=1,do=garbage;attempt=2,epoch=1,do=bad_slab");
  StartAgent();
  for (const int64_t attempt : {1, 2}) {
    scheduler_->Assign("cpu:0", MakeAssignment(attempt, 0, 4));
    const v1::Failure failure =
        scheduler_->AwaitEnd(kRun, attempt).last.failure();
    EXPECT_EQ(failure.reason(), v1::Failure::EXCEPTION);
    EXPECT_THAT(failure.message(), HasSubstr("broke the protocol"));
  }
  scheduler_->Assign("cpu:0", MakeAssignment(3, 0, 1));
  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 3).last.state(), v1::Attempt::SUCCEEDED);
}

TEST_F(AgentFailureTest, TrainsOnWhileTheSchedulerIsAway) {
  SetStubTrainerRules("attempt=1,epoch=2,do=wait");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 5));
  scheduler_->AwaitReport(kRun, 1, 1);

  scheduler_->GoAway();
  OpenGate();
  storage_->AwaitCommit(absl::StrCat(kRun, "/epochs/5"));
  scheduler_->ComeBack();
  const HeardAttempt attempt = scheduler_->AwaitEnd(kRun, 1);

  EXPECT_EQ(attempt.last.state(), v1::Attempt::SUCCEEDED);
  EXPECT_THAT(attempt.reports,
              ElementsAre(Key(0), Key(1), Key(2), Key(3), Key(4), Key(5)));
  scheduler_->AwaitCalls(2);
  EXPECT_THAT(scheduler_->last_request().attempts(), IsEmpty());
}

TEST_F(AgentFailureTest, FindsASchedulerThatMoved) {
  ASSERT_OK(WriteFileAtomically(folder_ + "/scheduler-worker",
                                scheduler_->address() + "\n"));
  AgentOptions options = Options();
  options.scheduler_address.clear();
  options.endpoints_from = folder_;
  StartAgent(options);
  scheduler_->AwaitCalls(1);

  scheduler_->GoAway();
  scheduler_->ComeBack("unix:" + folder_ + "/elsewhere");
  ASSERT_OK(WriteFileAtomically(folder_ + "/scheduler-worker",
                                scheduler_->address() + "\n"));

  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 1));
  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 1).last.state(), v1::Attempt::SUCCEEDED);
}

TEST_F(AgentFailureTest, RepeatsReportsUntilTheyAreAcknowledged) {
  scheduler_->SetAcknowledges(false);
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 2));
  scheduler_->AwaitEnd(kRun, 1);
  for (int i = 0; i < 3; ++i) {
    scheduler_->SetAcknowledges(false);  // Another answer without one.
    scheduler_->AwaitCalls(1);
  }
  scheduler_->Await([](const FakeScheduler::Heard& heard) {
    return heard.at({kRun, 1}).report_calls.at(2) > 1;
  });

  scheduler_->SetAcknowledges(true);
  scheduler_->AwaitCalls(3);

  EXPECT_THAT(scheduler_->last_request().attempts(), IsEmpty());
  EXPECT_EQ(storage_->digests().size(), 3u);
}

TEST_F(AgentFailureTest, ReadsNoSlabThatTheTrainerWasNotGiven) {
  SetStubTrainerRules("attempt=2,epoch=0,do=huge");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 1));
  scheduler_->AwaitEnd(kRun, 1);  // Leaves small slabs behind.
  v1::Assignment next = MakeAssignment(2, 0, 1);
  next.set_run("studies/1/trials/2");
  OpenGate();
  scheduler_->Assign("cpu:0", next);

  const v1::AttemptStatus last = scheduler_->AwaitEnd(next.run(), 2).last;

  EXPECT_EQ(last.failure().reason(), v1::Failure::OUT_OF_MEMORY);
  next.set_attempt(3);
  next.set_token(30);
  scheduler_->Assign("cpu:0", next);
  EXPECT_EQ(scheduler_->AwaitEnd(next.run(), 3).last.state(),
            v1::Attempt::SUCCEEDED);
}

TEST_F(AgentFailureTest, ReadsNoSlabOfAnAttemptThatEndsBeforeItGetsAny) {
  SetStubTrainerRules("attempt=2,epoch=0,do=huge");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 1));
  scheduler_->AwaitEnd(kRun, 1);  // Leaves small slabs behind.
  v1::Assignment next = MakeAssignment(2, 0, 1);
  next.set_run("studies/1/trials/2");
  scheduler_->Assign("cpu:0", next);
  scheduler_->Await([&](const FakeScheduler::Heard& heard) {
    return heard.contains({next.run(), 2});
  });

  EXPECT_OK(agent_->Stop());  // Which ends its wait.

  const HeardAttempt attempt = scheduler_->AwaitEnd(next.run(), 2);
  EXPECT_EQ(attempt.last.state(), v1::Attempt::RELEASED);
  EXPECT_THAT(attempt.reports, IsEmpty());
}

TEST_F(AgentFailureTest, WaitsForStorageWithoutLosingAnEpoch) {
  SetStubTrainerRules("attempt=1,epoch=2,do=wait");
  StartAgent();
  const auto expected = ExpectedDigests(8);
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 8));
  scheduler_->AwaitReport(kRun, 1, 1);

  for (const auto code :
       {grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::RESOURCE_EXHAUSTED}) {
    storage_->FailWith(code);
    if (code == grpc::StatusCode::UNAVAILABLE) OpenGate();
    storage_->AwaitFailedCall();
  }
  EXPECT_FALSE(Digests().contains(absl::StrCat(kRun, "/epochs/2")));
  storage_->FailWith(grpc::StatusCode::OK);

  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 1).last.state(), v1::Attempt::SUCCEEDED);
  EXPECT_EQ(Digests(), expected);
}

TEST_F(AgentFailureTest, SaysAndCountsThatItWaitsForStorage) {
  AgentOptions options = Options();
  options.trainer_timeout = absl::Seconds(2);
  StartAgent(options);
  storage_->FailWith(grpc::StatusCode::RESOURCE_EXHAUSTED);
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 8));

  // Longer than a trainer may be silent, for this one has to be.
  double stall_seconds = 0;
  while (stall_seconds < 2.5) {
    scheduler_->AwaitCalls(1);
    ASSERT_TRUE(absl::SimpleAtod(
        Metric("headstart_checkpoint_stall_seconds_total"), &stall_seconds));
  }
  scheduler_->Await([](const FakeScheduler::Heard& heard) {
    const std::string& waiting = heard.at({kRun, 1}).last.waiting_for();
    return absl::StrContains(waiting, "RESOURCE_EXHAUSTED") &&
           absl::StrContains(waiting, "epochs/0: as the test wants");
  });
  storage_->FailWith(grpc::StatusCode::OK);

  const v1::AttemptStatus last = scheduler_->AwaitEnd(kRun, 1).last;
  EXPECT_EQ(last.state(), v1::Attempt::SUCCEEDED);
  EXPECT_EQ(last.waiting_for(), "");
}

TEST_F(AgentFailureTest, CountsTheWaitOfATrainerThatIsDoneToo) {
  StartAgent();
  storage_->FailWith(grpc::StatusCode::UNAVAILABLE);
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 1));  // Two of three slabs.

  while (Metric("headstart_checkpoint_stall_seconds_total") == "0") {
    scheduler_->AwaitCalls(1);
  }

  storage_->FailWith(grpc::StatusCode::OK);
  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 1).last.state(), v1::Attempt::SUCCEEDED);
}

TEST_F(AgentFailureTest, SendsLostBlobsAgain) {
  StartAgent();
  const auto expected = ExpectedDigests(2);
  storage_->LoseBlobsOnce();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 2));

  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 1).last.state(), v1::Attempt::SUCCEEDED);
  EXPECT_EQ(Digests(), expected);
}

TEST_F(AgentFailureTest, StopsAnAttemptThatStorageHasSeenReplaced) {
  SetStubTrainerRules("attempt=1,epoch=2,do=wait");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100));
  scheduler_->AwaitReport(kRun, 1, 1);

  storage_->SeeToken(kRun, 11);
  OpenGate();
  const HeardAttempt attempt = scheduler_->AwaitEnd(kRun, 1);

  EXPECT_EQ(attempt.last.state(), v1::Attempt::RELEASED);
  EXPECT_THAT(attempt.reports, ElementsAre(Key(0), Key(1)));
}

TEST_F(AgentFailureTest, FailsAnAttemptWhoseEpochIsTakenByAnother) {
  StartAgent();
  storage_->FailWith(grpc::StatusCode::ALREADY_EXISTS);
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 3));

  const HeardAttempt attempt = scheduler_->AwaitEnd(kRun, 1);

  EXPECT_EQ(attempt.last.state(), v1::Attempt::FAILED);
  EXPECT_EQ(attempt.last.failure().reason(), v1::Failure::EXCEPTION);
  EXPECT_THAT(attempt.last.failure().message(), HasSubstr("epochs/0"));
}

TEST_F(AgentFailureTest, StopsWithoutASchedulerOrStorageToo) {
  SetStubTrainerRules("attempt=1,epoch=2,do=wait");
  AgentOptions options = Options();
  options.store_patience = absl::Milliseconds(50);
  options.report_patience = absl::Milliseconds(50);
  StartAgent(options);
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100));
  scheduler_->AwaitReport(kRun, 1, 1);
  storage_->FailWith(grpc::StatusCode::UNAVAILABLE);
  OpenGate();
  storage_->AwaitFailedCall();
  scheduler_->GoAway();

  EXPECT_OK(agent_->Stop());
}

TEST_F(AgentFailureTest, StopsWithoutWaitingForStorageThatHangs) {
  AgentOptions options = Options();
  options.store_patience = absl::Milliseconds(50);
  options.report_patience = absl::Milliseconds(50);
  StartAgent(options);
  storage_->Hang();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100));
  storage_->AwaitHangingCall();

  EXPECT_OK(agent_->Stop());

  EXPECT_TRUE(storage_->AwaitGivenUpCall());
}

TEST_F(AgentFailureTest, EndsWhenANewerAgentHasItsName) {
  SetStubTrainerRules("attempt=1,epoch=2,do=wait");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100));
  scheduler_->AwaitReport(kRun, 1, 1);

  scheduler_->RefuseWith(grpc::StatusCode::ABORTED, "newer incarnation");
  ended_.Wait();

  EXPECT_THAT(agent_->Stop(),
              StatusIs(absl::StatusCode::kAborted, "newer incarnation"));
}

TEST_F(AgentFailureTest, RefusesAnotherCluster) {
  StartAgent();
  scheduler_->AwaitCalls(2);

  scheduler_->SetCluster("cluster-2");
  ended_.Wait();

  EXPECT_THAT(agent_->Stop(),
              StatusIs(absl::StatusCode::kFailedPrecondition, "cluster-2"));
}

TEST_F(AgentFailureTest, EndsWhenNoTrainerStarts) {
  SetStubTrainerRules("attempt=0,do=exit:5");
  StartAgent();

  ended_.Wait();

  const absl::Status status = agent_->Stop();
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kFailedPrecondition, "exit code 5"));
  EXPECT_THAT(status.message(), HasSubstr("no library"));
}

TEST_F(AgentFailureTest, StartsAgainATrainerThatWasKilledAtItsStart) {
  SetStubTrainerRules("attempt=0,do=stillborn:2");

  StartAgent();

  scheduler_->AwaitCalls(1);
}

TEST_F(AgentFailureTest, EndsWhenTrainersAreKilledAtTheirStartAgainAndAgain) {
  SetStubTrainerRules("attempt=0,do=stillborn:100");
  StartAgent();

  ended_.Wait();

  EXPECT_THAT(agent_->Stop(),
              StatusIs(absl::StatusCode::kFailedPrecondition, "signal 9"));
}

}  // namespace
}  // namespace headstart::worker

int main(int argc, char** argv) {
  if (headstart::worker::IsStubTrainer(argc, argv)) {
    return headstart::worker::StubTrainerMain(argc, argv);
  }
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
