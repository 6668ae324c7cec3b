// The agent between a scheduler, a storage server and trainers, each of which
// does what a test says. This program is also the trainer (stub_trainer.h).
#include "worker/agent/agent.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "worker/agent/fake_scheduler.h"
#include "worker/agent/fake_storage.h"
#include "worker/agent/stub_trainer.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr char kRun[] = "studies/1/trials/1";

class AgentTest : public ::testing::Test {
 protected:
  AgentTest() {
    SetStubTrainerRules("");
    setenv("STUB_GATE", (dir_ / "gate").c_str(), 1);
    EXPECT_EQ(mkfifo((dir_ / "gate").c_str(), 0600), 0);
    gate_.Reset(open((dir_ / "gate").c_str(), O_RDWR | O_CLOEXEC));
    storage_ = std::make_unique<FakeStorage>(dir_ / "storage");
    scheduler_ = std::make_unique<FakeScheduler>("unix:" + dir_ / "scheduler",
                                                 storage_->address());
  }

  AgentOptions Options() {
    AgentOptions options;
    options.name = "workers/test";
    options.scheduler_address = scheduler_->address();
    options.slots = {{.name = "cpu:0", .device = "cpu"},
                     {.name = "cpu:1", .device = "cpu"}};
    options.trainer_program = "/proc/self/exe";
    char path[4096] = "";
    EXPECT_GT(readlink("/proc/self/exe", path, sizeof(path) - 1), 0);
    options.trainer_program = path;
    options.data_folder = dir_.path();
    return options;
  }

  void StartAgent(AgentOptions options) {
    auto agent =
        Agent::Start(std::move(options), telemetry_, [this] { ended_.Stop(); });
    ASSERT_OK(agent);
    agent_ = *std::move(agent);
  }
  void StartAgent() { StartAgent(Options()); }

  static v1::Assignment MakeAssignment(int64_t attempt, int64_t from_epoch,
                                       int64_t until_epoch) {
    v1::Assignment assignment;
    assignment.set_run(kRun);
    assignment.set_attempt(attempt);
    assignment.set_token(attempt * 10);
    assignment.set_seed(42);
    assignment.set_from_epoch(from_epoch);
    assignment.set_until_epoch(until_epoch);
    v1::TrainingSpec& training = *assignment.mutable_training();
    training.mutable_model()->mutable_lenet_300_100();
    training.mutable_dataset()->mutable_mnist();
    training.mutable_initializer()->mutable_framework_default();
    training.set_epochs(until_epoch);
    return assignment;
  }

  // What an undisturbed run of so many epochs stores.
  std::map<std::string, std::string> ExpectedDigests(int64_t epochs) {
    scheduler_->Assign("cpu:1", [&] {
      v1::Assignment assignment = MakeAssignment(99, 0, epochs);
      assignment.set_run("studies/1/trials/1000");
      return assignment;
    }());
    EXPECT_EQ(scheduler_->AwaitEnd("studies/1/trials/1000", 99).last.state(),
              v1::Attempt::SUCCEEDED);
    std::map<std::string, std::string> expected;
    std::string parent;
    for (int64_t epoch = 0; epoch <= epochs; ++epoch) {
      v1::Manifest manifest =
          storage_->commit(absl::StrCat("studies/1/trials/1000/epochs/", epoch))
              .manifest();
      manifest.set_run(kRun);
      manifest.set_parent(parent);
      parent = std::string(
          storage::Digest::Of(manifest.SerializeAsString()).bytes());
      expected[absl::StrCat(kRun, "/epochs/", epoch)] = parent;
    }
    return expected;
  }
  std::map<std::string, std::string> Digests() {
    std::map<std::string, std::string> digests = storage_->digests();
    std::erase_if(digests, [](const auto& entry) {
      return entry.first.find("trials/1000/") != std::string::npos;
    });
    return digests;
  }

  void OpenGate() { EXPECT_EQ(write(gate_.get(), "x", 1), 1); }

  TempDir dir_;
  UniqueFd gate_;
  Telemetry telemetry_;
  StopEvent ended_;
  std::unique_ptr<FakeStorage> storage_;
  std::unique_ptr<FakeScheduler> scheduler_;
  std::unique_ptr<Agent> agent_;
};

TEST_F(AgentTest, TrainsStoresAndReportsEveryEpoch) {
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 3));

  const HeardAttempt attempt = scheduler_->AwaitEnd(kRun, 1);

  EXPECT_EQ(attempt.last.state(), v1::Attempt::SUCCEEDED);
  EXPECT_EQ(attempt.last.token(), 10);
  EXPECT_EQ(attempt.last.effective().learning_rate(), 0.5);
  EXPECT_THAT(attempt.reports, ElementsAre(Key(0), Key(1), Key(2), Key(3)));
  EXPECT_FALSE(attempt.reports.at(0).has_measurement());
  EXPECT_EQ(attempt.reports.at(2).measurement().training_loss(), 0.5);
  EXPECT_FALSE(attempt.reports.at(2).measurement().has_test_loss());
  EXPECT_EQ(attempt.reports.at(2).seconds().train(), 0.25);
  for (const auto& [epoch, report] : attempt.reports) {
    EXPECT_EQ(report.manifest_digest(),
              Digests().at(absl::StrCat(kRun, "/epochs/", epoch)));
  }
  const v1::SynchronizeRequest request = scheduler_->last_request();
  EXPECT_EQ(request.worker(), "workers/test");
  ASSERT_EQ(request.slots_size(), 2);
  EXPECT_EQ(request.slots(1).name(), "cpu:1");
  EXPECT_EQ(request.slots(1).device(), "stub device");
}

TEST_F(AgentTest, WritesManifestsThatSayWhatWasTrained) {
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 1));
  scheduler_->AwaitEnd(kRun, 1);

  const v1::CommitCheckpointRequest first =
      storage_->commit(absl::StrCat(kRun, "/epochs/0"));
  const v1::CommitCheckpointRequest second =
      storage_->commit(absl::StrCat(kRun, "/epochs/1"));

  EXPECT_EQ(second.attempt(), 1);
  EXPECT_EQ(second.token(), 10);
  EXPECT_EQ(second.cluster_id(), "cluster-1");
  const v1::Manifest& manifest = second.manifest();
  EXPECT_EQ(manifest.format_version(), 1);
  EXPECT_EQ(manifest.model(), "stub");
  EXPECT_EQ(manifest.environment().library(), "stub 1");
  EXPECT_EQ(manifest.environment().device(), "stub device");
  EXPECT_TRUE(manifest.initializer().has_framework_default());
  EXPECT_EQ(manifest.measurement().training_loss(), 1);
  EXPECT_TRUE(first.manifest().parent().empty());
  EXPECT_EQ(manifest.parent(), Digests().at(absl::StrCat(kRun, "/epochs/0")));
  ASSERT_EQ(manifest.tensors_size(), 3);
  EXPECT_EQ(manifest.tensors(0).name(), "w");
  EXPECT_EQ(manifest.tensors(0).dtype(), "F32");
  EXPECT_THAT(manifest.tensors(0).shape(), ElementsAre(64, 32));
  EXPECT_EQ(manifest.tensors(0).digest().size(), 32u);
  EXPECT_EQ(manifest.tensors(1).inlined().size(), 32u);  // 8 floats.
  EXPECT_EQ(manifest.tensors(2).role(), v1::Tensor::BUFFER);
  const v1::Manifest& resume = second.resume_manifest();
  EXPECT_TRUE(resume.resume());
  EXPECT_EQ(resume.run(), kRun);
  EXPECT_EQ(resume.epoch(), 1);
  ASSERT_EQ(resume.tensors_size(), 2);
  EXPECT_EQ(resume.tensors(1).name(), "position");
}

TEST_F(AgentTest, SendsABlobOnce) {
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 2));

  scheduler_->AwaitEnd(kRun, 1);

  // w and exp_avg are equal at epoch 0; "fixed" never changes.
  EXPECT_EQ(storage_->uploaded_blob_count(), 2 + 2 + 2);
  EXPECT_THAT(telemetry_.Text(),
              HasSubstr("headstart_upload_deduplicated_bytes_total 24576"));
}

TEST_F(AgentTest, ResumesToTheSameDigests) {
  StartAgent();
  const auto expected = ExpectedDigests(4);

  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 2));
  scheduler_->AwaitEnd(kRun, 1);
  scheduler_->Assign("cpu:1", MakeAssignment(2, 2, 4));
  const HeardAttempt second = scheduler_->AwaitEnd(kRun, 2);

  EXPECT_EQ(second.last.state(), v1::Attempt::SUCCEEDED);
  EXPECT_THAT(second.reports, ElementsAre(Key(3), Key(4)));
  EXPECT_EQ(Digests(), expected);
}

TEST_F(AgentTest, StartsFromAStoredCheckpoint) {
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 2));
  scheduler_->AwaitEnd(kRun, 1);
  v1::Assignment assignment = MakeAssignment(1, 0, 1);
  assignment.set_run("trainings/1/runs/1");
  assignment.mutable_training()
      ->mutable_initializer()
      ->mutable_checkpoint()
      ->set_checkpoint(absl::StrCat(kRun, "/epochs/2"));

  scheduler_->Assign("cpu:0", assignment);
  scheduler_->AwaitEnd("trainings/1/runs/1", 1);

  const v1::Manifest source =
      storage_->commit(absl::StrCat(kRun, "/epochs/2")).manifest();
  const v1::Manifest start =
      storage_->commit("trainings/1/runs/1/epochs/0").manifest();
  EXPECT_EQ(start.tensors(0).digest(), source.tensors(0).digest());
  EXPECT_TRUE(start.parent().empty());
}

TEST_F(AgentTest, SaysWhichSourceIsNotThere) {
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(2, 7, 9));

  const HeardAttempt attempt = scheduler_->AwaitEnd(kRun, 2);

  EXPECT_EQ(attempt.last.state(), v1::Attempt::FAILED);
  EXPECT_EQ(attempt.last.failure().reason(), v1::Failure::SOURCE_UNAVAILABLE);
  EXPECT_THAT(attempt.last.failure().message(), HasSubstr("epochs/7"));
}

TEST_F(AgentTest, RefusesADamagedSourceAndOneWithoutItsResumePart) {
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

TEST_F(AgentTest, ReleasesAfterTheRunningEpoch) {
  SetStubTrainerRules("epoch=2,do=wait");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100));
  scheduler_->AwaitReport(kRun, 1, 1);

  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100), /*release=*/true);
  scheduler_->AwaitCalls(2);  // The agent has read the answer.
  OpenGate();
  const HeardAttempt attempt = scheduler_->AwaitEnd(kRun, 1);

  EXPECT_EQ(attempt.last.state(), v1::Attempt::RELEASED);
  EXPECT_THAT(attempt.reports, ElementsAre(Key(0), Key(1), Key(2)));
}

TEST_F(AgentTest, EndsAWithdrawnAttemptAndTakesTheNext) {
  SetStubTrainerRules("attempt=1,epoch=2,do=wait");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100));
  scheduler_->AwaitReport(kRun, 1, 1);

  scheduler_->Assign("cpu:0", MakeAssignment(2, 1, 2));

  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 1).last.state(), v1::Attempt::RELEASED);
  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 2).last.state(), v1::Attempt::SUCCEEDED);
  EXPECT_THAT(telemetry_.Text(),
              HasSubstr("headstart_worker_trainer_starts_total 2\n"));
}

TEST_F(AgentTest, KillsATrainerThatDoesNotStop) {
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

TEST_F(AgentTest, SaysWhichSignalEndedTheTrainer) {
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
  auto log = ReadFile(dir_ / "trainer-cpu-0.log");
  ASSERT_OK(log);
  EXPECT_THAT(*log, HasSubstr("about to crash"));

  scheduler_->Assign("cpu:0", MakeAssignment(2, 2, 3));
  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 2).last.state(), v1::Attempt::SUCCEEDED);
}

TEST_F(AgentTest, HintsAtMemoryWhenTheKernelKills) {
  SetStubTrainerRules("attempt=1,epoch=1,do=signal:9");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 4));

  const v1::Failure failure = scheduler_->AwaitEnd(kRun, 1).last.failure();

  EXPECT_EQ(failure.exit_signal(), 9);
  EXPECT_THAT(failure.message(), HasSubstr("memory"));
}

TEST_F(AgentTest, PassesOnWhyATrainerFailed) {
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

TEST_F(AgentTest, EndsATrainerThatBreaksTheProtocol) {
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

TEST_F(AgentTest, TrainsOnWhileTheSchedulerIsAway) {
  SetStubTrainerRules("attempt=1,epoch=2,do=wait");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 5));
  scheduler_->AwaitReport(kRun, 1, 1);

  scheduler_->GoAway();
  OpenGate();
  while (!storage_->digests().contains(absl::StrCat(kRun, "/epochs/5"))) {
    std::this_thread::yield();
  }
  scheduler_->ComeBack();
  const HeardAttempt attempt = scheduler_->AwaitEnd(kRun, 1);

  EXPECT_EQ(attempt.last.state(), v1::Attempt::SUCCEEDED);
  EXPECT_THAT(attempt.reports,
              ElementsAre(Key(0), Key(1), Key(2), Key(3), Key(4), Key(5)));
  scheduler_->AwaitCalls(2);
  EXPECT_THAT(scheduler_->last_request().attempts(), IsEmpty());
}

TEST_F(AgentTest, FindsASchedulerThatMoved) {
  ASSERT_OK(WriteFileAtomically(dir_ / "scheduler-worker",
                                scheduler_->address() + "\n"));
  AgentOptions options = Options();
  options.scheduler_address.clear();
  options.endpoints_from = dir_.path();
  StartAgent(options);
  scheduler_->AwaitCalls(1);

  scheduler_->GoAway();
  scheduler_->ComeBack("unix:" + dir_ / "elsewhere");
  ASSERT_OK(WriteFileAtomically(dir_ / "scheduler-worker",
                                scheduler_->address() + "\n"));

  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 1));
  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 1).last.state(), v1::Attempt::SUCCEEDED);
}

TEST_F(AgentTest, RepeatsReportsUntilTheyAreAcknowledged) {
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

TEST_F(AgentTest, DoesNotTakeWhatHasEndedOrIsOlder) {
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(2, 0, 1));
  scheduler_->AwaitEnd(kRun, 2);
  scheduler_->AwaitCalls(2);  // It was acknowledged and forgotten.

  scheduler_->SetListsEnded(true);
  scheduler_->AwaitCalls(2);
  scheduler_->Assign("cpu:1", MakeAssignment(1, 0, 1));
  scheduler_->AwaitCalls(2);

  EXPECT_THAT(scheduler_->last_request().attempts(), IsEmpty());
  EXPECT_THAT(telemetry_.Text(),
              HasSubstr("headstart_worker_attempts_total{state=\"SUCCEEDED\"} "
                        "1\n"));
}

TEST_F(AgentTest, WaitsForStorageWithoutLosingAnEpoch) {
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

TEST_F(AgentTest, SendsLostBlobsAgain) {
  StartAgent();
  const auto expected = ExpectedDigests(2);
  storage_->LoseBlobsOnce();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 2));

  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 1).last.state(), v1::Attempt::SUCCEEDED);
  EXPECT_EQ(Digests(), expected);
}

TEST_F(AgentTest, StopsAnAttemptThatStorageHasSeenReplaced) {
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

TEST_F(AgentTest, FailsAnAttemptWhoseEpochIsTakenByAnother) {
  StartAgent();
  storage_->FailWith(grpc::StatusCode::ALREADY_EXISTS);
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 3));

  const HeardAttempt attempt = scheduler_->AwaitEnd(kRun, 1);

  EXPECT_EQ(attempt.last.state(), v1::Attempt::FAILED);
  EXPECT_EQ(attempt.last.failure().reason(), v1::Failure::EXCEPTION);
  EXPECT_THAT(attempt.last.failure().message(), HasSubstr("epochs/0"));
}

TEST_F(AgentTest, HandsBackWhatItHoldsWhenItIsStopped) {
  SetStubTrainerRules("attempt=1,epoch=3,do=wait");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100));
  scheduler_->AwaitReport(kRun, 1, 2);

  EXPECT_OK(agent_->Stop());

  const HeardAttempt attempt = scheduler_->AwaitEnd(kRun, 1);
  EXPECT_EQ(attempt.last.state(), v1::Attempt::RELEASED);
  EXPECT_THAT(attempt.reports, ElementsAre(Key(0), Key(1), Key(2)));
  EXPECT_TRUE(scheduler_->last_request().draining());
}

TEST_F(AgentTest, StopsWithoutASchedulerOrStorageToo) {
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

TEST_F(AgentTest, EndsWhenANewerAgentHasItsName) {
  SetStubTrainerRules("attempt=1,epoch=2,do=wait");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100));
  scheduler_->AwaitReport(kRun, 1, 1);

  scheduler_->RefuseWith(grpc::StatusCode::ABORTED, "newer incarnation");
  ended_.Wait();

  EXPECT_THAT(agent_->Stop(),
              StatusIs(absl::StatusCode::kAborted, "newer incarnation"));
}

TEST_F(AgentTest, RefusesAnotherCluster) {
  StartAgent();
  scheduler_->AwaitCalls(2);

  scheduler_->SetCluster("cluster-2");
  ended_.Wait();

  EXPECT_THAT(agent_->Stop(),
              StatusIs(absl::StatusCode::kFailedPrecondition, "cluster-2"));
}

TEST_F(AgentTest, EndsWhenNoTrainerStarts) {
  SetStubTrainerRules("attempt=0,do=exit:5");
  StartAgent();

  ended_.Wait();

  const absl::Status status = agent_->Stop();
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kFailedPrecondition, "exit code 5"));
  EXPECT_THAT(status.message(), HasSubstr("no library"));
}

TEST_F(AgentTest, EachStartHasALargerIncarnation) {
  ASSERT_OK(WriteFileAtomically(dir_ / "incarnation", "4000000000000000000\n"));

  StartAgent();
  scheduler_->AwaitCalls(1);

  EXPECT_EQ(scheduler_->last_request().incarnation(), 4000000000000000001);
}

TEST_F(AgentTest, IsolatesTrialsWhenAsked) {
  AgentOptions options = Options();
  options.isolate_trials = true;
  options.slots.resize(1);
  StartAgent(options);
  for (const int64_t attempt : {1, 2}) {
    scheduler_->Assign("cpu:0", MakeAssignment(attempt, 0, 1));
    EXPECT_EQ(scheduler_->AwaitEnd(kRun, attempt).last.state(),
              v1::Attempt::SUCCEEDED);
  }

  EXPECT_OK(agent_->Stop());

  EXPECT_THAT(telemetry_.Text(),
              Not(HasSubstr("headstart_worker_trainer_starts_total 1\n")));
}

TEST_F(AgentTest, CountsFromZero) {
  StartAgent();

  const std::string text = telemetry_.Text();
  for (const char* series :
       {"headstart_worker_slots 2", "headstart_worker_slots_busy 0",
        "headstart_checkpoint_stall_seconds_total 0",
        "headstart_upload_deduplicated_bytes_total 0",
        "headstart_epoch_seconds_count{phase=\"stall\"} 0",
        "headstart_worker_attempts_total{state=\"FAILED\"} 0"}) {
    EXPECT_THAT(text, HasSubstr(series));
  }
}

}  // namespace
}  // namespace headstart::worker

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--socket-fd") {
      return headstart::worker::StubTrainerMain(argc, argv);
    }
  }
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
