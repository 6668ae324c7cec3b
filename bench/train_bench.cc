// headstart-train-bench: the trainer's own loop on one of three jobs, or on any
// TrainingSpec, with slabs that are given back at once.
//
// Prints one JSON object: of each epoch the seconds of training, what its
// checkpoint took of the loop, and the test accuracy where it was measured.
// bench/train_bench.py runs it in pairs with bench/pytorch_loop.py, which
// trains the same; bench/gpu_bench.py on a GPU.
#include <cstdint>
#include <deque>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "tests/support/training_json.h"
#include "worker/datasets/registry.h"
#include "worker/trainer/device_loader.h"
#include "worker/trainer/host.h"
#include "worker/trainer/runtime.h"
#include "worker/trainer/train_loop.h"

namespace headstart::worker {
namespace {

// What Spec completes; pytorch_loop.py has the same.
const std::map<std::string, const char*> kJobs = {{"lenet", R"({
        "model": {"lenet_300_100": {}},
        "dataset": {"mnist": {"validation_examples": 5000,
                              "train_examples": 0}},
        "batch_size": 60,
        "optimizer": {"adam": {"learning_rate": 0.0012, "beta1": 0.9,
                               "beta2": 0.999, "epsilon": 1e-8,
                               "weight_decay": 0}}})"},
                                                  {"small_cnn", R"({
        "model": {"small_cnn": {}},
        "dataset": {"synthetic": {"train_examples": 25600, "test_examples": 10,
                                  "channels": 3, "image_size": 32,
                                  "classes": 10, "seed": 1,
                                  "validation_examples": 0, "split_seed": 0}},
        "batch_size": 128,
        "optimizer": {"adam": {"learning_rate": 0.001, "beta1": 0.9,
                               "beta2": 0.999, "epsilon": 1e-8,
                               "weight_decay": 0}}})"},
                                                  {"resnet18", R"({
        "model": {"cifar_resnet18": {}},
        "dataset": {"synthetic": {"train_examples": 640, "test_examples": 10,
                                  "channels": 3, "image_size": 32,
                                  "classes": 10, "seed": 1,
                                  "validation_examples": 0, "split_seed": 0}},
        "batch_size": 32,
        "optimizer": {"sgd": {"learning_rate": 0.01, "momentum": 0.9,
                              "nesterov": false, "weight_decay": 0.0005}}})"}};

// Gives three slabs, each back as soon as it is sent.
class BenchHost final : public Host {
 public:
  absl::StatusOr<std::optional<Assignment>> Next() override {
    return std::nullopt;
  }
  absl::Status Begin(const Started& started) override {
    for (int i = 0; i < 3; ++i) {
      slabs_.push_back(Slab::Create(started.slab_bytes).value());
      free_.push_back(i);
    }
    return absl::OkStatus();
  }
  std::optional<int64_t> AcquireSlab() override {
    const int64_t slab = free_.front();
    free_.pop_front();
    return slab;
  }
  Slab& slab(int64_t number) override { return slabs_[number]; }
  std::optional<StopMode> stop() const override { return std::nullopt; }
  absl::Status Send(const TrainerMessage& message) override {
    if (const auto* snapshot = std::get_if<Snapshot>(&message)) {
      free_.push_back(snapshot->slab);
    } else if (const auto* epoch = std::get_if<EpochDone>(&message);
               epoch != nullptr && epoch->epoch > 0) {
      train_seconds.push_back(epoch->seconds.train);
      initialize_seconds.push_back(epoch->seconds.initialize);
      snapshot_ms.push_back(1e3 *
                            (epoch->seconds.snapshot + epoch->seconds.stall));
      peak_bytes.push_back(epoch->peak_memory_bytes);
      if (epoch->measurement.test_accuracy.has_value()) {
        test_accuracy.push_back(*epoch->measurement.test_accuracy);
      }
    }
    return absl::OkStatus();
  }

  std::vector<double> train_seconds;
  std::vector<double> initialize_seconds;
  std::vector<double> snapshot_ms;
  std::vector<int64_t> peak_bytes;
  std::vector<double> test_accuracy;

 private:
  std::vector<Slab> slabs_;
  std::deque<int64_t> free_;
};

int Main(int argc, char** argv) {
  std::string job = "lenet";
  std::string spec;
  std::string fields;
  std::string device_name = "cpu";
  std::string datasets = "examples/data";
  int64_t seed = 42;
  int64_t epochs = 2;
  int64_t threads = 1;
  CLI::App app("The trainer's loop on one job.", "headstart-train-bench");
  app.option_defaults()->always_capture_default();
  app.add_option("--job", job, "lenet, small_cnn or resnet18")
      ->check(CLI::IsMember({"lenet", "small_cnn", "resnet18"}));
  app.add_option("--epochs", epochs, "1 or more")->check(CLI::PositiveNumber);
  app.add_option("--threads", threads, "Threads for each operator")
      ->check(CLI::PositiveNumber);
  app.add_option("--spec", spec,
                 "In place of a job: a file with a whole TrainingSpec in JSON");
  app.add_option("--fields", fields,
                 "Fields of the TrainingSpec beside the job's, in JSON");
  app.add_option("--device", device_name, "cpu, or cuda:<number>");
  app.add_option("--seed", seed, "The run's");
  app.add_option("--datasets", datasets, "Folder that has mnist/");
  CLI11_PARSE(app, argc, argv);

  const absl::StatusOr<std::unique_ptr<Device>> device =
      OpenDevice(device_name);
  HS_CHECK_OK(device.status());
  SetUpLibTorch(threads);
  nlohmann::json training;
  if (spec.empty()) {
    training = nlohmann::json::parse(kJobs.at(job));
    training["epochs"] = epochs;
    training["schedule"]["constant"] = nlohmann::json::object();
    training["evaluate"] = "TEST_NEVER";
    training = CompleteTraining(training);
    if (!fields.empty()) {
      training.merge_patch(nlohmann::json::parse(fields));
    }
  } else {
    job = spec;
    training = nlohmann::json::parse(ReadFile(spec).value());
    epochs = training.at("epochs");
  }
  const Assignment assignment = {.assign = {.run = "studies/1/trials/1",
                                            .attempt = 1,
                                            .training_json = training.dump(),
                                            .seed = seed,
                                            .from_epoch = 0,
                                            .until_epoch = epochs},
                                 .source_memory = {}};
  DatasetReader reader({datasets});
  BenchHost host;
  HS_CHECK_OK(Train(assignment, reader, Clock::Real(), host, device->get()));
  std::cout << nlohmann::json{{"tool", "headstart"},
                              {"job", job},
                              {"threads", threads},
                              {"device", *device == nullptr
                                             ? DeviceName()
                                             : (*device)->name()},
                              {"train_s", host.train_seconds},
                              {"initialize_s", host.initialize_seconds},
                              {"snapshot_ms", host.snapshot_ms},
                              {"peak_bytes", host.peak_bytes},
                              {"test_accuracy", host.test_accuracy}}
            << std::endl;
  return 0;
}

}  // namespace
}  // namespace headstart::worker

int main(int argc, char** argv) { return headstart::worker::Main(argc, argv); }
