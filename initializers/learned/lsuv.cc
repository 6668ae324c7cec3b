#include "initializers/learned/lsuv.h"

#include <cmath>
#include <memory>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <torch/nn/module.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

#include "initializers/layer_output.h"
#include "initializers/learned/probe_mode.h"

namespace headstart::initializers {
namespace {

absl::StatusOr<LsuvMeasurement> Measure(TrainingSignal& signal,
                                        const LabelledBatch& batch,
                                        absl::Span<const LsuvLayer> layers,
                                        int64_t layer, int64_t attempt) {
  at::Tensor seen;
  {
    const LayerOutputListener listener(
        [&](const torch::nn::Module& module, const at::Tensor& output) {
          if (&module == layers[layer].module) seen = output;
        });
    signal.Forward(batch.inputs);
  }
  if (!seen.defined()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "lsuv: the forward pass does not run layer ", layer + 1, " of ",
        layers.size(), ". Choose another initializer for this model."));
  }
  const LsuvMeasurement measurement = {
      .layer = layer,
      .attempt = attempt,
      .standard_deviation = seen.std(/*unbiased=*/false).item<double>(),
      .mean = seen.mean().item<double>()};
  if (!std::isfinite(measurement.standard_deviation)) {
    return absl::OutOfRangeError(absl::StrCat("lsuv: the output of layer ",
                                              layer + 1, " of ", layers.size(),
                                              " is not finite."));
  }
  return measurement;
}

void Correct(const LsuvLayer& layer, const LsuvMeasurement& measurement,
             const LsuvOptions& options) {
  const double factor =
      options.standard_deviation / (measurement.standard_deviation + 1e-8);
  layer.weight.mul_(factor);
  if (options.shift_bias && layer.bias.defined()) {
    layer.bias.add_(options.mean - measurement.mean * factor);
  }
}

}  // namespace

std::vector<LsuvLayer> LsuvLayers(torch::nn::Module& model) {
  std::vector<LsuvLayer> layers;
  for (const auto& module : model.modules()) {
    const auto parameters = module->named_parameters(/*recurse=*/false);
    const at::Tensor* weight = parameters.find("weight");
    if (weight == nullptr || weight->dim() < 2) continue;
    const at::Tensor* bias = parameters.find("bias");
    layers.push_back(
        {module.get(), *weight, bias == nullptr ? at::Tensor() : *bias});
  }
  return layers;
}

absl::Status ApplyLsuv(torch::nn::Module& model, TrainingSignal& signal,
                       const LsuvOptions& options,
                       const LsuvObserver& observer) {
  const at::NoGradGuard no_grad;
  const ProbeMode mode(model, BatchNormMode::kBuffers);
  const std::vector<LsuvLayer> layers = LsuvLayers(model);
  if (layers.empty()) {
    return absl::FailedPreconditionError(
        "lsuv: the model has no convolution or linear layer. Choose another "
        "initializer.");
  }
  const LabelledBatch batch = signal.NextBatch(options.batch_size);
  const int64_t count = static_cast<int64_t>(layers.size());
  for (int64_t layer = options.as_published ? 1 : 0; layer < count; ++layer) {
    for (int64_t attempt = 0;; ++attempt) {
      HS_RETURN_IF_ERROR(signal.GoOn());
      HS_ASSIGN_OR_RETURN(const LsuvMeasurement measurement,
                          Measure(signal, batch, layers, layer, attempt));
      if (observer != nullptr) observer(measurement);
      const bool done =
          std::abs(measurement.standard_deviation -
                   options.standard_deviation) <= options.tolerance;
      if (done || attempt > options.max_attempts) break;
      Correct(layers[options.as_published && attempt > 0 ? 0 : layer],
              measurement, options);
    }
  }
  return absl::OkStatus();
}

}  // namespace headstart::initializers
