// The program itself: with this test as its agent, and alone.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

#include "base/file.h"
#include "tests/support/process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/training_json.h"
#include "worker/trainer_protocol/frame.h"
#include "worker/trainer_protocol/messages.h"
#include "worker/trainer_protocol/slab.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

// LeNet on a few digits; `epochs` are long when there are many examples.
Json Spec(int64_t epochs, int64_t train_examples) {
  return CompleteTraining(
      {{"model", {{"lenet_300_100", Json::object()}}},
       {"dataset",
        {{"mnist",
          {{"validation_examples", 50},
           {"train_examples", train_examples},
           {"split_seed", 1}}}}},
       {"epochs", epochs},
       {"batch_size", 32},
       {"optimizer",
        {{"adam",
          {{"learning_rate", 0.001},
           {"beta1", 0.9},
           {"beta2", 0.999},
           {"epsilon", 1e-8},
           {"weight_decay", 0}}}}},
       {"schedule", {{"constant", Json::object()}}},
       {"initializer", {{"framework_default", Json::object()}}},
       {"evaluate", "TEST_NEVER"}});
}

Assign MakeAssign(int64_t until_epoch, int64_t train_examples = 200) {
  return {.run = "studies/1/trials/1",
          .attempt = 1,
          .training_json = Spec(until_epoch, train_examples).dump(),
          .seed = 42,
          .from_epoch = 0,
          .until_epoch = until_epoch};
}

// A trainer whose agent is this test.
class Trainer {
 public:
  explicit Trainer(const std::string& datasets = SourceFolder() +
                                                 "/examples/data") {
    auto [mine, trainers] = FrameSocket::MakePair().value();
    fcntl(trainers.get(), F_SETFD, 0);  // Inherited.
    process_ = Process::Start({.command = {"headstart-trainer", "--socket-fd",
                                           absl::StrCat(trainers.get()),
                                           "--datasets", datasets}})
                   .value();
    socket_ = std::make_unique<FrameSocket>(std::move(mine));
  }

  void Send(const AgentMessage& message, const std::vector<int>& fds = {}) {
    EXPECT_OK(socket_->Send(ToJson(message), fds));
  }

  // The next message, which must be a T. `step` messages are passed over, and
  // that of epoch 0 unless it is asked for.
  template <typename T>
  T Receive() {
    while (true) {
      auto frame = socket_->Receive(absl::Minutes(1));
      if (!frame.ok() || !frame->has_value()) {
        ADD_FAILURE() << "no message; the trainer said: "
                      << process_->stderr_text();
        return T{};
      }
      TrainerMessage message = ParseTrainerMessage((*frame)->line).value();
      if (std::holds_alternative<Step>(message)) continue;
      if constexpr (!std::is_same_v<T, EpochDone>) {
        const auto* done = std::get_if<EpochDone>(&message);
        if (done != nullptr && done->epoch == 0) continue;
      }
      if (T* expected = std::get_if<T>(&message)) return *expected;
      ADD_FAILURE() << "another message: " << (*frame)->line;
      return T{};
    }
  }

  // Receives `started` and sends slabs.
  Started Begin(int slab_count) {
    const Started started = Receive<Started>();
    slabs_.clear();
    std::vector<int> fds;
    for (int i = 0; i < slab_count; ++i) {
      slabs_.push_back(Slab::Create(started.slab_bytes).value());
      fds.push_back(slabs_.back().descriptor());
    }
    Send(Slabs{.bytes = started.slab_bytes}, fds);
    return started;
  }

  void SendLine(const std::string& line) { EXPECT_OK(socket_->Send(line)); }
  void CloseSocket() { socket_.reset(); }
  ProcessExit AwaitExit() { return process_->Wait().value(); }
  const Slab& slab(int64_t number) const { return slabs_[number]; }

 private:
  std::unique_ptr<Process> process_;
  std::unique_ptr<FrameSocket> socket_;
  std::vector<Slab> slabs_;
};

TEST(TrainerProgramTest, ServesOneAssignmentAfterAnother) {
  Trainer trainer;
  const Ready ready = trainer.Receive<Ready>();
  EXPECT_EQ(ready.protocol, 1);
  EXPECT_THAT(ready.library, HasSubstr("libtorch "));
  EXPECT_THAT(ready.device, HasSubstr("cpu"));
  EXPECT_EQ(ready.threads, 1);

  std::vector<std::string> weights;
  for (int round = 0; round < 2; ++round) {
    trainer.Send(MakeAssign(1));
    trainer.Begin(3);
    EXPECT_EQ(trainer.Receive<Snapshot>().epoch, 0);
    EXPECT_EQ(trainer.Receive<EpochDone>().epoch, 1);
    const Snapshot snapshot = trainer.Receive<Snapshot>();
    EXPECT_EQ(snapshot.epoch, 1);
    const Slab& slab = trainer.slab(snapshot.slab);
    weights.emplace_back(slab.data(), slab.bytes());
    EXPECT_EQ(trainer.Receive<Finished>().epoch, 1);
  }
  trainer.Send(Exit{});

  EXPECT_EQ(trainer.AwaitExit(), (ProcessExit{.exit_code = 0}));
  EXPECT_TRUE(weights[0] == weights[1]);
}

TEST(TrainerProgramTest, WaitsForASlabToBeGivenBack) {
  Trainer trainer;
  trainer.Receive<Ready>();
  trainer.Send(MakeAssign(2));
  trainer.Begin(2);

  // It trains in one slab while the other is stored.
  const Snapshot first = trainer.Receive<Snapshot>();
  EXPECT_EQ(trainer.Receive<EpochDone>().epoch, 1);
  EXPECT_NE(trainer.Receive<Snapshot>().slab, first.slab);
  trainer.Send(SlabFree{.slab = first.slab});
  EXPECT_EQ(trainer.Receive<EpochDone>().epoch, 2);
  EXPECT_EQ(trainer.Receive<Snapshot>().slab, first.slab);
  EXPECT_EQ(trainer.Receive<Finished>().epoch, 2);
}

TEST(TrainerProgramTest, StopsWhileItWaitsForASlabAndServesAgain) {
  Trainer trainer;
  trainer.Receive<Ready>();
  trainer.Send(MakeAssign(2));
  trainer.Begin(1);
  EXPECT_EQ(trainer.Receive<Snapshot>().epoch, 0);

  trainer.Send(Stop{.mode = StopMode::kNow});

  EXPECT_EQ(trainer.Receive<Paused>().epoch, 0);
  trainer.Send(
      MakeAssign(1));  // The stop is over with the assignment it was for.
  trainer.Begin(2);
  EXPECT_EQ(trainer.Receive<Snapshot>().epoch, 0);
  EXPECT_EQ(trainer.Receive<EpochDone>().epoch, 1);
  EXPECT_EQ(trainer.Receive<Snapshot>().epoch, 1);
  EXPECT_EQ(trainer.Receive<Finished>().epoch, 1);
}

TEST(TrainerProgramTest, StopsBeforeItHasSlabs) {
  Trainer trainer;
  trainer.Receive<Ready>();
  trainer.Send(MakeAssign(1));
  trainer.Receive<Started>();

  trainer.Send(Stop{.mode = StopMode::kNow});

  EXPECT_EQ(trainer.Receive<Paused>().epoch, 0);
}

TEST(TrainerProgramTest, StopsWithinAnEpoch) {
  Trainer trainer;
  trainer.Receive<Ready>();
  trainer.Send(MakeAssign(100'000, /*train_examples=*/50'000));
  trainer.Begin(3);
  EXPECT_EQ(trainer.Receive<Snapshot>().epoch, 0);

  trainer.Send(Stop{.mode = StopMode::kNow});

  EXPECT_EQ(trainer.Receive<Paused>().epoch, 0);
}

TEST(TrainerProgramTest, FinishesTheEpochFirstWhenAskedTo) {
  Trainer trainer;
  trainer.Receive<Ready>();
  trainer.Send(MakeAssign(100'000, /*train_examples=*/5'000));
  trainer.Begin(3);
  EXPECT_EQ(trainer.Receive<Snapshot>().epoch, 0);

  trainer.Send(Stop{.mode = StopMode::kAfterEpoch});

  EXPECT_EQ(trainer.Receive<EpochDone>().epoch, 1);
  EXPECT_EQ(trainer.Receive<Snapshot>().epoch, 1);
  EXPECT_EQ(trainer.Receive<Paused>().epoch, 1);
}

TEST(TrainerProgramTest, ResumesWhatAnotherProcessBegan) {
  Trainer first;
  first.Receive<Ready>();
  first.Send(MakeAssign(2));
  const Started started = first.Begin(3);
  first.Receive<Snapshot>();
  first.Receive<EpochDone>();
  const int64_t middle = first.Receive<Snapshot>().slab;
  const EpochDone whole = first.Receive<EpochDone>();
  const int64_t end = first.Receive<Snapshot>().slab;
  first.Receive<Finished>();

  Assign assign = MakeAssign(2);
  assign.from_epoch = 1;
  assign.sources = {{.checkpoint = "studies/1/trials/1/epochs/1",
                     .role = SourceRole::kResume,
                     .bytes = started.slab_bytes,
                     .tensors = started.tensors}};
  Trainer second;
  second.Receive<Ready>();
  second.Send(assign, {first.slab(middle).descriptor()});
  second.Begin(3);

  EXPECT_EQ(second.Receive<EpochDone>().measurement, whole.measurement);
  const int64_t resumed = second.Receive<Snapshot>().slab;
  EXPECT_EQ(second.Receive<Finished>().epoch, 2);
  EXPECT_EQ(std::memcmp(second.slab(resumed).data(), first.slab(end).data(),
                        started.slab_bytes),
            0);
}

TEST(TrainerProgramTest, EndsWhenTheAgentIsGone) {
  Trainer trainer;
  trainer.Receive<Ready>();
  trainer.Send(MakeAssign(100'000, /*train_examples=*/50'000));
  trainer.Begin(3);
  trainer.Receive<Snapshot>();

  trainer.CloseSocket();

  EXPECT_EQ(trainer.AwaitExit(), (ProcessExit{.exit_code = 1}));
}

TEST(TrainerProgramTest, EndsWhenTheAgentCannotBeUnderstood) {
  Trainer trainer;
  trainer.Receive<Ready>();

  trainer.SendLine("{\"type\": \"assing\"}");

  EXPECT_EQ(trainer.AwaitExit(), (ProcessExit{.exit_code = 1}));
}

TEST(TrainerProgramTest, SaysWhyAnAttemptFailedAndEnds) {
  Trainer trainer;
  trainer.Receive<Ready>();
  Assign assign = MakeAssign(1);
  Json spec = Json::parse(assign.training_json);
  spec["optimizer"]["adam"].erase("beta1");
  assign.training_json = spec.dump();

  trainer.Send(assign);

  const Failed failed = trainer.Receive<Failed>();
  EXPECT_EQ(failed.reason, FailureReason::kInvalidSpec);
  EXPECT_THAT(failed.message, HasSubstr("training.optimizer.adam.beta1"));
  EXPECT_EQ(trainer.AwaitExit(), (ProcessExit{.exit_code = 1}));
}

TEST(TrainerProgramTest, SaysThatTheLossIsNotFinite) {
  Trainer trainer;
  trainer.Receive<Ready>();
  Assign assign = MakeAssign(1);
  Json spec = Json::parse(assign.training_json);
  spec["optimizer"]["adam"]["learning_rate"] = 1e30;
  assign.training_json = spec.dump();
  trainer.Send(assign);
  trainer.Begin(3);
  trainer.Receive<Snapshot>();

  const Failed failed = trainer.Receive<Failed>();

  EXPECT_EQ(failed.reason, FailureReason::kNonFiniteLoss);
  EXPECT_THAT(failed.message, HasSubstr("epoch 1, batch "));
}

TEST(TrainerProgramTest, NamesADataSetThatIsNotThere) {
  Trainer trainer;
  trainer.Receive<Ready>();
  Assign assign = MakeAssign(1);
  Json spec = Json::parse(assign.training_json);
  spec["dataset"] = {{"fashion_mnist", spec["dataset"]["mnist"]}};
  assign.training_json = spec.dump();

  trainer.Send(assign);

  const Failed failed = trainer.Receive<Failed>();
  EXPECT_EQ(failed.reason, FailureReason::kSourceUnavailable);
  EXPECT_THAT(failed.message, HasSubstr("train-images-idx3-ubyte.gz"));
}

TEST(TrainerProgramTest, BlamesItsFilesAndNotTheSpecForADamagedDataSet) {
  const TempDir datasets;
  std::filesystem::copy(SourceFolder() + "/examples/data/mnist",
                        datasets / "mnist");
  const std::string labels = datasets / "mnist/train-labels-idx1-ubyte.gz";
  ASSERT_OK(WriteFileAtomically(labels, "not gzip at all"));
  Trainer trainer(datasets.path());
  trainer.Receive<Ready>();

  trainer.Send(MakeAssign(1));

  const Failed failed = trainer.Receive<Failed>();
  EXPECT_EQ(failed.reason, FailureReason::kSourceUnavailable);
  EXPECT_THAT(failed.message, HasSubstr(labels + ": offset 0"));
}

class AloneTest : public ::testing::Test {
 protected:
  CommandResult Run(const Assign& assign, const std::string& output,
                    std::vector<std::string> more = {}) {
    Json json = Json::parse(ToJson(AgentMessage(assign)));
    const std::string path = folder_ / "assignment.json";
    EXPECT_OK(WriteFileAtomically(path, json.dump()));
    std::vector<std::string> command = {"headstart-trainer",
                                        "--assignment",
                                        path,
                                        "--datasets",
                                        SourceFolder() + "/examples/data",
                                        "--output",
                                        folder_ / output};
    command.insert(command.end(), more.begin(), more.end());
    return RunCommand({.command = std::move(command)}).value();
  }

  std::string Read(const std::string& file) {
    return ReadFile(folder_ / file).value();
  }

  const TempDir folder_;
};

TEST_F(AloneTest, PrintsEventsAndWritesFilesThatCanBeResumedFrom) {
  const CommandResult whole = Run(MakeAssign(2), "whole");
  ASSERT_EQ(whole.exit, (ProcessExit{.exit_code = 0})) << whole.stderr_text;
  std::vector<std::string> types;
  for (absl::string_view line :
       absl::StrSplit(whole.stdout_text, '\n', absl::SkipEmpty())) {
    types.push_back(Json::parse(line)["type"]);
  }
  EXPECT_THAT(types,
              ElementsAre("ready", "started", "epoch", "snapshot", "epoch",
                          "snapshot", "epoch", "snapshot", "finished"));

  Assign assign = MakeAssign(2);
  assign.from_epoch = 1;
  const std::string name = "studies/1/trials/1/epochs/1=" + folder_.path();
  const CommandResult rest =
      Run(assign, "rest",
          {"--source", name + "/whole/epoch-1.safetensors", "--source",
           name + "/whole/epoch-1.resume.safetensors"});

  ASSERT_EQ(rest.exit, (ProcessExit{.exit_code = 0})) << rest.stdout_text;
  for (const std::string file :
       {"/epoch-2.safetensors", "/epoch-2.resume.safetensors"}) {
    EXPECT_TRUE(Read("rest" + file) == Read("whole" + file)) << file;
  }
}

TEST_F(AloneTest, TrainsOnOnesOwnImagesAndKeepsThemDecoded) {
  for (const char* name : {"train/a/0", "train/a/1", "train/b/0", "train/b/1",
                           "test/a/0", "test/b/0"}) {
    const std::filesystem::path path =
        absl::StrCat(folder_.path(), "/sets/pets/", name, ".jpg");
    std::filesystem::create_directories(path.parent_path());
    std::filesystem::copy_file(
        SourceFolder() + "/tests/oracles/images/photo.jpg", path);
  }
  Json training = Spec(1, 0);
  training["model"] = {{"small_cnn", Json::object()}};
  training["dataset"] = {{"image_folder",
                          {{"validation_examples", 2},
                           {"train_examples", 0},
                           {"folder", "pets"},
                           {"classes", 2},
                           {"image_size", 16}}}};
  training["batch_size"] = 2;
  training["evaluate"] = "TEST_LAST_EPOCH";
  Assign assign = MakeAssign(1);
  assign.training_json = CompleteTraining(training).dump();

  const CommandResult result =
      Run(assign, "out",
          {"--datasets", absl::StrCat(folder_.path(), "/sets"), "--cache",
           absl::StrCat(folder_.path(), "/cache")});

  ASSERT_EQ(result.exit, (ProcessExit{.exit_code = 0})) << result.stderr_text;
  EXPECT_THAT(result.stdout_text, HasSubstr("heartbeat"));
  EXPECT_THAT(result.stdout_text, HasSubstr("test_accuracy"));
  int files = 0;  // One for each part.
  for (const auto& entry : std::filesystem::directory_iterator(
           absl::StrCat(folder_.path(), "/cache"))) {
    EXPECT_EQ(entry.path().extension(), ".pixels");
    ++files;
  }
  EXPECT_EQ(files, 2);
}

TEST_F(AloneTest, SaysThatMemoryRanOut) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer needs more addresses than the limit leaves";
#endif
  // One batch of all examples through ResNet-18: a single layer's activations
  // take 1 GB.
  Json json = Json::parse(
      ToJson(AgentMessage(MakeAssign(1, /*train_examples=*/5'050))));
  json["training"]["model"] = {{"cifar_resnet18", Json::object()}};
  json["training"]["batch_size"] = 5000;
  const std::string path = folder_ / "assignment.json";
  ASSERT_OK(WriteFileAtomically(path, json.dump()));

  const CommandResult result =
      RunCommand(
          {.command = {"/bin/sh", "-c",
                       absl::StrCat(
                           "ulimit -v 2000000; exec ", ProgramsFolder(),
                           "/headstart-trainer --assignment ", path,
                           " --datasets ", SourceFolder(),
                           "/examples/data --output ", folder_ / "out")}})
          .value();

  EXPECT_EQ(result.exit, (ProcessExit{.exit_code = 1}));
  EXPECT_THAT(result.stdout_text, HasSubstr("\"OUT_OF_MEMORY\""));
  EXPECT_THAT(result.stdout_text, HasSubstr("smaller batch_size"));
}

TEST_F(AloneTest, SaysWhatIsWrongWithItsFiles) {
  const CommandResult result =
      Run(MakeAssign(1), "out", {"--source", "a=" + folder_ / "none"});

  EXPECT_EQ(result.exit, (ProcessExit{.exit_code = 1}));
  EXPECT_THAT(result.stdout_text, HasSubstr(folder_ / "none"));
}

TEST_F(AloneTest, RefusesFlagsThatDoNotGoTogether) {
  for (const std::vector<std::string>& flags :
       std::vector<std::vector<std::string>>{
           {},
           {"--assignment", "a.json"},
           {"--assignment", "a.json", "--output", "o", "--source", "x"},
           {"--socket-fd", "3", "--output", "o"},
           {"--socket-fd", "3", "--assignment", "a.json", "--output", "o"},
           {"--socket-fd", "3", "--device", "gpu"},
           {"--socket-fd", "3", "--device", "cuda:x"},
           {"--socket-fd", "3", "--threads", "0"}}) {
    std::vector<std::string> command = {"headstart-trainer"};
    command.insert(command.end(), flags.begin(), flags.end());

    const CommandResult result = RunCommand({.command = command}).value();

    EXPECT_EQ(result.exit, (ProcessExit{.exit_code = 2}))
        << absl::StrJoin(flags, " ");
  }
}

// Whether for want of the module, of its libraries, or of a GPU of this number.
TEST_F(AloneTest, SaysWhichDeviceItDoesNotHave) {
  const CommandResult result =
      RunCommand({.command = {"headstart-trainer", "--socket-fd", "3",
                              "--device", "cuda:63"}})
          .value();

  EXPECT_EQ(result.exit, (ProcessExit{.exit_code = 1}));
  EXPECT_THAT(result.stderr_text,
              HasSubstr("headstart-trainer: --device cuda:63: "));
}

}  // namespace
}  // namespace headstart::worker
