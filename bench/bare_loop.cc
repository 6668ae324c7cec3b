// headstart-bare-loop: LeNet-300-100 on MNIST with Adam and nothing around it:
// no protocol, no snapshot, no checkpoint, no process but this one.
//
// The floor that a study is measured against. It is made of the parts that the
// trainer is made of, so a ratio to it is what scheduler, storage, agent and
// snapshots cost, not what another loop would.
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <CLI/CLI.hpp>

#include "base/check.h"
#include "base/clock.h"
#include "initializers/registry.h"
#include "initializers/state_dict.h"
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

struct Options {
  std::string datasets = "examples/data";
  int64_t epochs = 3;
  int64_t batch_size = 128;
  double learning_rate = 0.0012;
  int64_t threads = 1;
  int64_t validation_examples = 5000;
  int64_t seed = 42;
};

std::shared_ptr<Model> MakeLenet(const DatasetInfo& info, int64_t seed) {
  std::shared_ptr<Model> model =
      MakeModel("lenet_300_100", {.channels = info.channels,
                                  .height = info.height,
                                  .width = info.width,
                                  .classes = info.classes})
          .value();
  at::Generator generator = at::detail::createCPUGenerator(seed);
  const Assignment none;
  SlabSource source(none);
  HS_CHECK_OK(
      initializers::MakeInitializer(initializers::FrameworkDefaultOptions{})
          ->Apply(*model, {.generator = generator, .weights = source})
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

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("LeNet-300-100 on MNIST with Adam and nothing around it.",
               "headstart-bare-loop");
  app.option_defaults()->always_capture_default();
  app.add_option("--datasets", options.datasets, "Folder that has mnist/");
  app.add_option("--epochs", options.epochs, "Passes over the training part");
  app.add_option("--batch-size", options.batch_size, "Examples per step");
  app.add_option("--learning-rate", options.learning_rate, "Of Adam");
  app.add_option("--threads", options.threads, "Threads for each operator");
  app.add_option("--validation-examples", options.validation_examples,
                 "Held out, and measured after every epoch; 0 for none");
  app.add_option("--seed", options.seed, "Of weights and order");
  CLI11_PARSE(app, argc, argv);

  SetUpLibTorch(options.threads);
  const Clock& clock = Clock::Real();
  DatasetReader datasets({options.datasets});
  const absl::StatusOr<TrainingData> data = datasets.ReadTraining(
      {.name = "mnist",
       .split = {.validation_examples = options.validation_examples}});
  if (!data.ok()) {
    std::cerr << data.status().message() << "\n";
    return 1;
  }
  const std::shared_ptr<Model> model =
      MakeLenet(data->training.info(), options.seed);
  NamedParameters parameters;
  for (const auto& each : initializers::StateDict(*model)) {
    parameters.emplace_back(each.name, each.tensor);
  }
  const std::unique_ptr<Optimizer> optimizer =
      MakeOptimizer(AdamOptions{.learning_rate = options.learning_rate},
                    std::move(parameters));
  BatchReader batches(data->training, options.batch_size);

  // One JSON object per epoch, then one for the process.
  const absl::Duration begin = clock.Monotonic();
  for (int64_t epoch = 1; epoch <= options.epochs; ++epoch) {
    const absl::Duration before = clock.Monotonic();
    const double loss =
        TrainEpoch(*model, *optimizer, batches,
                   EpochOrder(options.seed, epoch, data->training.size()),
                   options.batch_size);
    const absl::Duration trained = clock.Monotonic();
    double accuracy = 0;
    if (data->validation.size() > 0) {
      accuracy =
          Evaluate(*model, data->validation, [] { return false; })->accuracy;
    }
    std::cout << "{\"epoch\": " << epoch << ", \"train_seconds\": "
              << absl::ToDoubleSeconds(trained - before)
              << ", \"evaluate_seconds\": "
              << absl::ToDoubleSeconds(clock.Monotonic() - trained)
              << ", \"training_loss\": " << loss
              << ", \"validation_accuracy\": " << accuracy << "}" << std::endl;
  }
  std::cout << "{\"epochs\": " << options.epochs << ", \"seconds_per_epoch\": "
            << absl::ToDoubleSeconds(clock.Monotonic() - begin) / options.epochs
            << "}" << std::endl;
  return 0;
}

}  // namespace
}  // namespace headstart::worker

int main(int argc, char** argv) { return headstart::worker::Main(argc, argv); }
