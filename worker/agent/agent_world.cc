#include "worker/agent/agent_world.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/check.h"
#include "storage/blob/digest.h"

namespace headstart::worker {
namespace {

constexpr char kOtherRun[] = "studies/1/trials/1000";

}  // namespace

std::string ThisProgram() {
  char path[4096] = "";
  HS_CHECK(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
  return path;
}

v1::Assignment MakeAssignment(int64_t attempt, int64_t from_epoch,
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

AgentWorld::AgentWorld(const std::string& folder) : folder_(folder) {
  SetStubTrainerRules("");
  setenv("STUB_GATE", (folder_ + "/gate").c_str(), 1);
  HS_CHECK_EQ(mkfifo((folder_ + "/gate").c_str(), 0600), 0);
  gate_.Reset(open((folder_ + "/gate").c_str(), O_RDWR | O_CLOEXEC));
  storage_ = std::make_unique<FakeStorage>(folder_ + "/storage");
  scheduler_ = std::make_unique<FakeScheduler>("unix:" + folder_ + "/scheduler",
                                               storage_->address());
}

AgentOptions AgentWorld::Options() {
  AgentOptions options;
  options.name = "workers/test";
  options.scheduler_address = scheduler_->address();
  options.slots = {{.name = "cpu:0", .device = "cpu"},
                   {.name = "cpu:1", .device = "cpu"}};
  options.trainer_program = ThisProgram();
  options.data_folder = folder_;
  return options;
}

void AgentWorld::StartAgent(AgentOptions options) {
  auto agent =
      Agent::Start(std::move(options), telemetry_, [this] { ended_.Stop(); });
  HS_CHECK_OK(agent);
  agent_ = *std::move(agent);
}

std::map<std::string, std::string> AgentWorld::ExpectedDigests(int64_t epochs) {
  v1::Assignment assignment = MakeAssignment(99, 0, epochs);
  assignment.set_run(kOtherRun);
  scheduler_->Assign("cpu:1", assignment);
  HS_CHECK_EQ(scheduler_->AwaitEnd(kOtherRun, 99).last.state(),
              v1::Attempt::SUCCEEDED);
  std::map<std::string, std::string> expected;
  std::string parent;
  for (int64_t epoch = 0; epoch <= epochs; ++epoch) {
    v1::Manifest manifest =
        storage_->commit(absl::StrCat(kOtherRun, "/epochs/", epoch)).manifest();
    manifest.set_run(kRun);
    manifest.set_parent(parent);
    parent =
        std::string(storage::Digest::Of(manifest.SerializeAsString()).bytes());
    expected[absl::StrCat(kRun, "/epochs/", epoch)] = parent;
  }
  return expected;
}

std::map<std::string, std::string> AgentWorld::Digests() {
  std::map<std::string, std::string> digests = storage_->digests();
  std::erase_if(digests, [](const auto& entry) {
    return absl::StartsWith(entry.first, absl::StrCat(kOtherRun, "/"));
  });
  return digests;
}

std::string AgentWorld::Metric(const std::string& series) const {
  const std::string text = telemetry_.Text();
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::ConsumePrefix(&line, series + " ")) return std::string(line);
  }
  return "";
}

void AgentWorld::OpenGate() { HS_CHECK_EQ(write(gate_.get(), "x", 1), 1); }

}  // namespace headstart::worker
