// How soon a trainer trains, and what storing a checkpoint costs it meanwhile.
//
// This program is the agent of a headstart-trainer of one thread, and uploads
// as the agent does, to a headstart-storage of its own. One JSON object per
// measurement:
//
//   start     LeNet on MNIST: from the trainer's own start to `started` (cold),
//             and from an assignment to `started` once it has trained another
//             (warm; the median).
//   durable   After every second epoch the checkpoint is stored while the next
//             one trains; after the others its slab is given back at once.
//             slowdown is what an epoch beside a store takes longer than one
//             beside none, control the same between two halves of those beside
//             none; durable is from the trainer's word to the commit on disk.
//             Medians.
//
// Sketch: a warm start is reading labels that are in memory, drawing 266,610
// numbers and a few lines on a socket, some 10 ms. Storing hashes and writes in
// other processes, so on two cores what remains is the share of memory and
// disk that they take from the step.
#include <fcntl.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/net/telemetry.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/training_json.h"
#include "worker/agent/metrics.h"
#include "worker/agent/storage_client.h"
#include "worker/agent/uploader.h"
#include "worker/trainer_protocol/frame.h"
#include "worker/trainer_protocol/messages.h"
#include "worker/trainer_protocol/slab.h"

namespace headstart::worker {
namespace {

using Json = nlohmann::json;

constexpr int kSlabs = 4;

double Median(std::vector<double> values) {
  HS_CHECK(!values.empty());
  std::nth_element(values.begin(), values.begin() + values.size() / 2,
                   values.end());
  return values[values.size() / 2];
}

double Milliseconds(absl::Duration since) {
  return absl::ToDoubleMilliseconds(Clock::Real().Monotonic() - since);
}

// A trainer whose agent is this program.
class Trainer final {
 public:
  explicit Trainer(const std::string& datasets) {
    auto [mine, trainers] = FrameSocket::MakePair().value();
    HS_CHECK_EQ(fcntl(trainers.get(), F_SETFD, 0), 0);  // Inherited.
    process_ = Process::Start({.command = {"headstart-trainer", "--socket-fd",
                                           absl::StrCat(trainers.get()),
                                           "--datasets", datasets}})
                   .value();
    socket_ = std::make_unique<FrameSocket>(std::move(mine));
    Receive<Ready>();
  }

  // Returns `started`, before the trainer has slabs.
  Started Assign(const Json& training, int64_t attempt) {
    Send(worker::Assign{.run = "studies/1/trials/1",
                        .attempt = attempt,
                        .training_json = training.dump(),
                        .seed = 42,
                        .from_epoch = 0,
                        .until_epoch = training["epochs"]});
    return Receive<Started>();
  }

  void GiveSlabs(const Started& started) {
    slabs_.clear();
    std::vector<int> descriptors;
    for (int i = 0; i < kSlabs; ++i) {
      slabs_.push_back(Slab::Create(started.slab_bytes).value());
      descriptors.push_back(slabs_.back().descriptor());
    }
    Send(Slabs{.bytes = started.slab_bytes}, descriptors);
  }

  void Send(const AgentMessage& message, const std::vector<int>& fds = {}) {
    HS_CHECK_OK(socket_->Send(ToJson(message), fds));
  }

  TrainerMessage Receive() {
    while (true) {
      auto frame = socket_->Receive(absl::Minutes(5));
      HS_CHECK(frame.ok() && frame->has_value()) << process_->stderr_text();
      TrainerMessage message = ParseTrainerMessage((*frame)->line).value();
      if (!std::holds_alternative<Step>(message) &&
          !std::holds_alternative<Heartbeat>(message)) {
        return message;
      }
    }
  }
  template <typename T>
  T Receive() {
    const TrainerMessage message = Receive();
    HS_CHECK(std::holds_alternative<T>(message)) << ToJson(message);
    return std::get<T>(message);
  }

  const Slab& slab(int64_t number) const { return slabs_[number]; }

 private:
  std::unique_ptr<Process> process_;
  std::unique_ptr<FrameSocket> socket_;
  std::vector<Slab> slabs_;
};

Json Training(Json model, Json dataset, int64_t epochs, int64_t batch_size,
              double momentum) {
  return CompleteTraining({{"model", std::move(model)},
                           {"dataset", std::move(dataset)},
                           {"epochs", epochs},
                           {"batch_size", batch_size},
                           {"optimizer",
                            {{"sgd",
                              {{"learning_rate", 1e-3},
                               {"momentum", momentum},
                               {"nesterov", false},
                               {"weight_decay", 0}}}}},
                           {"evaluate", "TEST_NEVER"}});
}

Json Mnist(int64_t train_examples) {
  return {{"mnist",
           {{"validation_examples", 50},
            {"train_examples", train_examples},
            {"split_seed", 1}}}};
}

// Colour images of 32x32.
Json Synthetic(int64_t train_examples) {
  return {{"synthetic",
           {{"train_examples", train_examples + 10},
            {"test_examples", 10},
            {"channels", 3},
            {"image_size", 32},
            {"classes", 10},
            {"seed", 1},
            {"validation_examples", 10},
            {"split_seed", 1}}}};
}

Json LenetTraining(int64_t epochs, int64_t train_examples) {
  return Training({{"lenet_300_100", Json::object()}}, Mnist(train_examples),
                  epochs, /*batch_size=*/60, /*momentum=*/0.9);
}

Json MeasureStart(const std::string& datasets, int64_t trials) {
  const absl::Duration begin = Clock::Real().Monotonic();
  Trainer trainer(datasets);
  double cold = 0;
  std::vector<double> warm;
  for (int64_t attempt = 1; attempt <= trials; ++attempt) {
    const absl::Duration assigned = Clock::Real().Monotonic();
    const Started started = trainer.Assign(LenetTraining(1, 600), attempt);
    if (attempt == 1) {
      cold = Milliseconds(begin);
    } else {
      warm.push_back(Milliseconds(assigned));
    }
    trainer.GiveSlabs(started);
    while (!std::holds_alternative<Finished>(trainer.Receive())) {
    }
  }
  return {{"bench", "trial_start"},
          {"cold_ms", cold},
          {"warm_ms", Median(warm)},
          {"warm_max_ms", *std::max_element(warm.begin(), warm.end())},
          {"trials", trials}};
}

// A storage with its folder.
class Storage final {
 public:
  Storage() : metrics_(telemetry_), client_(telemetry_) {
    process_ =
        Process::Start(
            {.command = {"headstart-storage", "--data", folder_ / "data",
                         "--listen", absl::StrCat("unix:", folder_ / "socket"),
                         "--endpoints", folder_ / "endpoints",
                         "--metrics-listen", "127.0.0.1:0"}})
            .value();
    client_.SetAddress(
        process_->AwaitEndpoint(folder_ / "endpoints/storage").value());
  }

  void Store(int64_t epoch, const Slab& slab, const Started& started) {
    SnapshotUpload upload = {.slab = &slab,
                             .tensors = &started.tensors,
                             .attempt = started.attempt,
                             .token = 1,
                             .cluster_id = std::string(32, 'a')};
    upload.manifest.set_format_version(1);
    upload.manifest.set_run(started.run);
    upload.manifest.set_epoch(epoch);
    upload.manifest.set_model(started.model);
    HS_CHECK_OK(uploader_.Upload(upload, cancel_));
  }

 private:
  TempDir folder_;
  std::unique_ptr<Process> process_;
  Telemetry telemetry_;
  AgentMetrics metrics_;
  StorageClient client_;
  StopEvent cancel_;
  Uploader uploader_{client_,
                     {.clock = &Clock::Real(),
                      .jitter = RandomStream(1),
                      .on_waiting = [](const std::string&) {}},
                     metrics_};
};

Json MeasureDurable(const std::string& datasets, const std::string& model,
                    int64_t epochs) {
  Json training;
  if (model == "lenet") {
    training = LenetTraining(epochs, 54'000);
  } else if (model == "resnet18") {
    training = Training({{"cifar_resnet18", Json::object()}}, Synthetic(160),
                        epochs, /*batch_size=*/32, /*momentum=*/0.9);
  } else {
    HS_CHECK_EQ(model, "convnext_base");
    training = Training(
        {{"convnext_base", {{"stem", "IMAGENET"}, {"stochastic_depth", 0.1}}}},
        Synthetic(128), epochs, /*batch_size=*/8, /*momentum=*/0);
  }
  Trainer trainer(datasets);
  Storage storage;
  const Started started = trainer.Assign(training, 1);
  trainer.GiveSlabs(started);
  std::vector<double> beside, none[2], durable;
  while (true) {
    const TrainerMessage message = trainer.Receive();
    if (std::holds_alternative<Finished>(message)) break;
    if (const auto* done = std::get_if<EpochDone>(&message)) {
      if (done->epoch <= 2) continue;  // They warm up.
      const double milliseconds = 1e3 * done->seconds.train;
      if (done->epoch % 2 == 0) {
        beside.push_back(milliseconds);
      } else {
        none[done->epoch / 2 % 2].push_back(milliseconds);
      }
    } else if (const auto* snapshot = std::get_if<Snapshot>(&message)) {
      if (snapshot->epoch % 2 == 1) {
        const absl::Duration begin = Clock::Real().Monotonic();
        storage.Store(snapshot->epoch, trainer.slab(snapshot->slab), started);
        durable.push_back(Milliseconds(begin));
      }
      trainer.Send(SlabFree{.slab = snapshot->slab});
    } else {
      HS_CHECK(false) << ToJson(message);
    }
  }
  std::vector<double> all = none[0];
  all.insert(all.end(), none[1].begin(), none[1].end());
  return {{"bench", "durable"},
          {"model", model},
          {"tensor_mb", started.slab_bytes / 1e6},
          {"slowdown_ms", Median(beside) - Median(all)},
          {"control_ms", Median(none[0]) - Median(none[1])},
          {"durable_ms", Median(durable)},
          {"epoch_ms", Median(all)},
          {"epochs", epochs}};
}

int Main(int argc, char** argv) {
  CLI::App app("How soon a trainer trains, and what storing costs it.");
  std::string models = "lenet,resnet18,convnext_base";
  std::string datasets = SourceFolder() + "/examples/data";
  int64_t trials = 30;
  int64_t epochs = 42;
  app.add_option("--models", models,
                 "Of lenet, resnet18, convnext_base: what is stored; may be "
                 "empty")
      ->capture_default_str();
  app.add_option("--datasets", datasets, "Folder with mnist/")
      ->capture_default_str();
  app.add_option("--trials", trials, "Trials to start; 0: none")
      ->capture_default_str();
  app.add_option("--epochs", epochs, "Epochs of each model")
      ->check(CLI::Range(6, 10'000))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (trials > 1) std::cout << MeasureStart(datasets, trials) << std::endl;
  for (const absl::string_view model :
       absl::StrSplit(models, ',', absl::SkipEmpty())) {
    std::cout << MeasureDurable(datasets, std::string(model), epochs)
              << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace headstart::worker

int main(int argc, char** argv) { return headstart::worker::Main(argc, argv); }
