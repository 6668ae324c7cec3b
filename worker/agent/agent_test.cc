// The agent when all goes well.
#include "worker/agent/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "worker/agent/agent_world.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Key;

class AgentTest : public ::testing::Test,
                  protected TempDir,
                  protected AgentWorld {
 protected:
  AgentTest() : AgentWorld(TempDir::path()) {}
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
  // What the trainer said at its end counts too.
  EXPECT_EQ(Metric("headstart_epoch_seconds_sum{phase=\"train\"}"), "0.75");
  EXPECT_EQ(Metric("headstart_epoch_seconds_sum{phase=\"snapshot\"}"), "0.5");
  const v1::SynchronizeRequest request = scheduler_->last_request();
  EXPECT_EQ(request.worker(), "workers/test");
  ASSERT_EQ(request.slots_size(), 2);
  EXPECT_EQ(request.slots(1).name(), "cpu:1");
  EXPECT_EQ(request.slots(1).device(), "stub device");
  ASSERT_EQ(request.plugins_size(), 1);
  EXPECT_EQ(request.plugins(0).kind(), v1::PluginDescription::DATASET);
  EXPECT_EQ(request.plugins(0).name(), "dots");
  EXPECT_EQ(request.plugins(0).version(), "2");
  EXPECT_EQ(request.plugins(0).options_schema_json(), "{}");
  EXPECT_EQ(request.plugins(0).file(), "dots.so");
  ASSERT_EQ(request.refused_plugins_size(), 1);
  EXPECT_EQ(request.refused_plugins(0).file(), "old.so");
  EXPECT_EQ(request.refused_plugins(0).message(), "too old");
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
  EXPECT_EQ(Metric("headstart_upload_deduplicated_bytes_total"), "24576");
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

TEST_F(AgentTest, BringsEachCheckpointOfAnInitializerOnce) {
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 2));
  scheduler_->AwaitEnd(kRun, 1);
  v1::Assignment assignment = MakeAssignment(1, 0, 1);
  assignment.set_run("trainings/1/runs/1");
  v1::Chain& chain =
      *assignment.mutable_training()->mutable_initializer()->mutable_chain();
  v1::MeanOfCheckpoints& mean = *chain.add_steps()->mutable_mean();
  mean.add_checkpoints(absl::StrCat(kRun, "/epochs/2"));
  mean.add_checkpoints(absl::StrCat(kRun, "/epochs/0"));
  chain.add_steps()->mutable_checkpoint()->set_checkpoint(
      absl::StrCat(kRun, "/epochs/2"));

  scheduler_->Assign("cpu:0", assignment);
  scheduler_->AwaitEnd("trainings/1/runs/1", 1);

  // The stub takes them one over the other, so the last one stays.
  const std::string start = storage_->commit("trainings/1/runs/1/epochs/0")
                                .manifest()
                                .tensors(0)
                                .digest();
  EXPECT_EQ(start, storage_->commit(absl::StrCat(kRun, "/epochs/0"))
                       .manifest()
                       .tensors(0)
                       .digest());
  EXPECT_NE(start, storage_->commit(absl::StrCat(kRun, "/epochs/2"))
                       .manifest()
                       .tensors(0)
                       .digest());
}

TEST_F(AgentTest, ResumesWithoutTheInitializersCheckpoints) {
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 2));
  scheduler_->AwaitEnd(kRun, 1);
  v1::Assignment assignment = MakeAssignment(2, 2, 4);
  assignment.mutable_training()
      ->mutable_initializer()
      ->mutable_checkpoint()
      ->set_checkpoint("studies/7/trials/7/epochs/7");  // Not stored.

  scheduler_->Assign("cpu:0", assignment);

  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 2).last.state(), v1::Attempt::SUCCEEDED);
}

TEST_F(AgentTest, ReleasesAfterTheRunningEpoch) {
  SetStubTrainerRules("epoch=2,do=wait");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100'000));
  scheduler_->Await([](const FakeScheduler::Heard& heard) {
    auto attempt = heard.find({kRun, 1});
    return attempt != heard.end() && attempt->second.last.current_epoch() == 2;
  });

  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100'000), /*release=*/true);
  scheduler_->AwaitCalls(2);  // The agent has read the answer.
  OpenGate();
  const HeardAttempt attempt = scheduler_->AwaitEnd(kRun, 1);

  EXPECT_EQ(attempt.last.state(), v1::Attempt::RELEASED);
  // The trainer may have been in a later epoch when it heard of it.
  const int64_t last_epoch = attempt.reports.rbegin()->first;
  EXPECT_GE(last_epoch, 2);
  EXPECT_EQ(attempt.reports.size(), static_cast<size_t>(last_epoch + 1));
}

TEST_F(AgentTest, EndsAWithdrawnAttemptAndTakesTheNext) {
  SetStubTrainerRules("attempt=1,epoch=2,do=wait");
  StartAgent();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100));
  scheduler_->AwaitReport(kRun, 1, 1);

  scheduler_->Assign("cpu:0", MakeAssignment(2, 1, 2));

  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 1).last.state(), v1::Attempt::RELEASED);
  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 2).last.state(), v1::Attempt::SUCCEEDED);
  EXPECT_EQ(Metric("headstart_worker_trainer_starts_total"), "2");
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
  EXPECT_EQ(Metric("headstart_worker_attempts_total{state=\"succeeded\"}"),
            "1");
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

TEST_F(AgentTest, EachStartHasALargerIncarnation) {
  ASSERT_OK(
      WriteFileAtomically(folder_ + "/incarnation", "4000000000000000000\n"));

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

  EXPECT_NE(Metric("headstart_worker_trainer_starts_total"), "1");
}

TEST_F(AgentTest, CountsFromZero) {
  StartAgent();

  EXPECT_EQ(Metric("headstart_worker_slots"), "2");
  for (const char* series :
       {"headstart_worker_slots_busy",
        "headstart_checkpoint_stall_seconds_total",
        "headstart_upload_deduplicated_bytes_total",
        "headstart_blob_bytes_total{direction=\"put\"}",
        "headstart_epoch_seconds_count{phase=\"stall\"}",
        "headstart_worker_attempts_total{state=\"failed\"}"}) {
    EXPECT_EQ(Metric(series), "0") << series;
  }
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
