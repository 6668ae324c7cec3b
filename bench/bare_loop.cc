// headstart-bare-loop: LeNet-300-100 on MNIST with Adam and nothing around it:
// no protocol, no snapshot, no checkpoint, no process but this one.
//
// The floor that a study is measured against. It is made of the parts that the
// trainer is made of, so a ratio to it is what scheduler, storage, agent and
// snapshots cost, not what another loop would.
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <CLI/CLI.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/clock.h"
#include "initializers/registry.h"
#include "worker/datasets/registry.h"
#include "worker/measurement/evaluation.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"
#include "worker/trainer/host.h"
#include "worker/trainer/runtime.h"
#include "worker/trainer/slab_source.h"
#include "worker/training/optimizer.h"

namespace headstart::worker {
namespace {

// One training from scratch.
struct Leg {
  int64_t batch_size = 0;
  int64_t epochs = 0;
};

struct Options {
  std::string datasets = "examples/data";
  std::vector<std::string> legs = {"128:3"};
  double learning_rate = 0.0012;
  int64_t threads = 1;
  int64_t validation_examples = 5000;
  int64_t seed = 42;
};

std::shared_ptr<Model> MakeLenet(const InputInfo& info, int64_t seed) {
  std::shared_ptr<Model> model =
      MakeModel({.name = "lenet_300_100"}, {.channels = info.channels,
                                            .height = info.height,
                                            .width = info.width,
                                            .classes = info.classes})
          .value();
  at::Generator generator = at::detail::createCPUGenerator(seed);
  const Assignment none;
  SlabSource source(none);
  HS_CHECK_OK(initializers::MakeStart(initializers::FrameworkDefaultOptions{})
                  .Apply(*model, {.generator = generator, .weights = source})
                  .status());
  return model;
}

// Mean loss of one pass.
double TrainEpoch(Model& model, Optimizer& optimizer, BatchReader& batches,
                  const std::vector<int32_t>& order, int64_t batch_size) {
  model.train();
  double loss_sum = 0;
  for (size_t at = 0; at < order.size(); at += batch_size) {
    const Batch batch =
        batches.Read(absl::MakeConstSpan(order).subspan(at, batch_size));
    const at::Tensor loss =
        at::cross_entropy_loss(model.forward(batch.images), batch.labels);
    loss_sum += loss.item<float>() * batch.labels.size(0);
    model.zero_grad();
    loss.backward();
    optimizer.Step();
  }
  return loss_sum / order.size();
}

// Trains one leg and prints a JSON object per epoch.
void TrainLeg(const Leg& leg, const Options& options, const TrainingData& data,
              const Clock& clock) {
  const std::shared_ptr<Model> model =
      MakeLenet(data.training.info(), options.seed);
  const std::unique_ptr<Optimizer> optimizer =
      MakeOptimizer({AdamOptions{.learning_rate = options.learning_rate}},
                    ListParameters(*model));
  BatchReader batches(data.training, leg.batch_size);

  for (int64_t epoch = 1; epoch <= leg.epochs; ++epoch) {
    const absl::Duration before = clock.Monotonic();
    const double loss = TrainEpoch(
        *model, *optimizer, batches,
        EpochOrder(options.seed, epoch, data.training.size()), leg.batch_size);
    const absl::Duration trained = clock.Monotonic();
    double accuracy = 0;
    if (data.validation.size() > 0) {
      accuracy = Evaluate(*model, data.validation, Precision::kFp32, [] {
                   return false;
                 })->accuracy;
    }
    std::cout << "{\"batch_size\": " << leg.batch_size
              << ", \"epoch\": " << epoch << ", \"train_seconds\": "
              << absl::ToDoubleSeconds(trained - before)
              << ", \"evaluate_seconds\": "
              << absl::ToDoubleSeconds(clock.Monotonic() - trained)
              << ", \"training_loss\": " << loss
              << ", \"validation_accuracy\": " << accuracy << "}" << std::endl;
  }
}

// batch size:epochs, both above 0.
std::optional<Leg> ParseLeg(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  Leg leg;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &leg.batch_size) ||
      !absl::SimpleAtoi(parts[1], &leg.epochs) || leg.batch_size < 1 ||
      leg.epochs < 1) {
    return std::nullopt;
  }
  return leg;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("LeNet-300-100 on MNIST with Adam and nothing around it.",
               "headstart-bare-loop");
  app.option_defaults()->always_capture_default();
  app.add_option("--datasets", options.datasets, "Folder that has mnist/");
  app.add_option("--legs", options.legs,
                 "Trainings from scratch, one after the other: batch "
                 "size:epochs, separated by commas")
      ->delimiter(',');
  app.add_option("--learning-rate", options.learning_rate, "Of Adam");
  app.add_option("--threads", options.threads, "Threads for each operator");
  app.add_option("--validation-examples", options.validation_examples,
                 "Held out, and measured after every epoch; 0 for none");
  app.add_option("--seed", options.seed, "Of weights and order");
  CLI11_PARSE(app, argc, argv);
  std::vector<Leg> legs;
  for (const std::string& text : options.legs) {
    const std::optional<Leg> leg = ParseLeg(text);
    if (!leg.has_value()) {
      std::cerr << "--legs: \"" << text
                << "\" is no leg: write batch size:epochs, such as 128:3\n";
      return 2;
    }
    legs.push_back(*leg);
  }

  SetUpLibTorch(options.threads);
  const Clock& clock = Clock::Real();
  DatasetReader datasets({options.datasets});
  const absl::StatusOr<TrainingData> data = datasets.ReadTraining(
      {.name = "mnist",
       .split = {.validation_examples = options.validation_examples}},
      options.seed);
  if (!data.ok()) {
    std::cerr << data.status().message() << "\n";
    return 1;
  }
  // One more JSON object for the process.
  const absl::Duration begin = clock.Monotonic();
  int64_t epochs = 0;
  for (const Leg& leg : legs) {
    TrainLeg(leg, options, *data, clock);
    epochs += leg.epochs;
  }
  std::cout << "{\"epochs\": " << epochs << ", \"seconds_per_epoch\": "
            << absl::ToDoubleSeconds(clock.Monotonic() - begin) / epochs << "}"
            << std::endl;
  return 0;
}

}  // namespace
}  // namespace headstart::worker

int main(int argc, char** argv) { return headstart::worker::Main(argc, argv); }
