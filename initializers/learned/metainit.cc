#include "initializers/learned/metainit.h"

#include <algorithm>
#include <cmath>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/where.h>
#include <torch/nn/module.h>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

#include "initializers/learned/probe_mode.h"

namespace headstart::initializers {
namespace {

std::vector<at::Tensor> TensorsOf(absl::Span<const NamedTensor> named) {
  std::vector<at::Tensor> tensors;
  for (const NamedTensor& each : named) tensors.push_back(each.tensor);
  return tensors;
}

// Runs the iterations of either variant: `step` changes the scaled tensors and
// fills in what the observer is told of them.
absl::Status Iterate(torch::nn::Module& model, TrainingSignal& signal,
                     int64_t iterations, int64_t batch_size,
                     absl::Span<const NamedTensor> scaled,
                     absl::Span<const at::Tensor> parameters,
                     const MetainitObserver& observer,
                     absl::FunctionRef<void(MetainitIteration&)> step) {
  if (scaled.empty() || parameters.empty()) {
    return absl::FailedPreconditionError(
        "metainit: the model has no parameter to scale, or none to "
        "differentiate by. Choose another model or initializer.");
  }
  const std::vector<at::Tensor> tensors = TensorsOf(scaled);
  const ProbeMode mode(model, BatchNormMode::kBuffers);
  ParameterGuard guard({scaled.begin(), scaled.end()});
  for (int64_t iteration = 1; iteration <= iterations; ++iteration) {
    HS_RETURN_IF_ERROR(signal.GoOn());
    const LabelledBatch batch = signal.NextBatch(batch_size);
    const at::Tensor loss =
        at::cross_entropy_loss(signal.Forward(batch.inputs), batch.labels);
    const at::Tensor quotient = GradientQuotient(loss, parameters);
    const double value = quotient.item<double>();
    if (!std::isfinite(value)) {
      return absl::OutOfRangeError(absl::StrCat(
          "metainit: the gradient quotient is ", value, " in iteration ",
          iteration, " of ", iterations, ". Try a smaller learning_rate."));
    }
    const std::vector<at::Tensor> gradients =
        GradientsOf(quotient, tensors, GraphUse::kFree);
    MetainitIteration seen = {.quotient = value,
                              .loss = loss.item<double>(),
                              .gradients = gradients,
                              .slopes = {},
                              .scales = {},
                              .norms = {}};
    step(seen);
    if (observer != nullptr) observer(seen);
  }
  guard.Keep();
  return absl::OkStatus();
}

}  // namespace

at::Tensor GradientQuotient(const at::Tensor& loss,
                            absl::Span<const at::Tensor> parameters) {
  constexpr double kEpsilon = 1e-5F;
  const std::vector<at::Tensor> gradient =
      GradientsOf(loss, parameters, GraphUse::kKeepAndDifferentiate);
  at::Tensor half_square;
  for (const at::Tensor& each : gradient) {
    const at::Tensor square = each.square().sum() / 2;
    half_square = half_square.defined() ? half_square + square : square;
  }
  const std::vector<at::Tensor> product =
      half_square.requires_grad() ? GradientsOf(half_square, parameters,
                                                GraphUse::kKeepAndDifferentiate)
                                  : std::vector<at::Tensor>();
  at::Tensor sum;
  int64_t count = 0;
  for (size_t i = 0; i < gradient.size(); ++i) {
    const at::Tensor& g = gradient[i];
    const at::Tensor sign = at::where(g.detach() >= 0, 1., -1.).to(g.dtype());
    const at::Tensor rest = product.empty() ? g : g - product[i];
    const at::Tensor each = (rest / (g + kEpsilon * sign) - 1).abs().sum();
    sum = sum.defined() ? sum + each : each;
    count += g.numel();
  }
  return sum / static_cast<double>(count);
}

absl::Status ApplyMetainit(torch::nn::Module& model, TrainingSignal& signal,
                           const MetainitOptions& options,
                           const MetainitObserver& observer) {
  std::vector<NamedTensor> scaled;
  for (const NamedTensor& each : StateDict(model)) {
    if (!each.is_buffer && each.tensor.requires_grad() &&
        each.tensor.dim() >= 2) {
      scaled.push_back(each);
    }
  }
  struct State {
    double start_norm;
    double norm;
    double scale = 1;
    double velocity = 0;
  };
  std::vector<State> states;
  for (const NamedTensor& each : scaled) {
    const double norm = each.tensor.detach().norm().item<double>();
    states.push_back({.start_norm = norm, .norm = norm});
  }
  const auto step = [&](MetainitIteration& seen) {
    const at::NoGradGuard no_grad;
    for (size_t k = 0; k < scaled.size(); ++k) {
      State& state = states[k];
      const at::Tensor& tensor = scaled[k].tensor;
      double slope = 0;
      if (state.norm > 0) {
        slope = at::dot(tensor.reshape(-1), seen.gradients[k].reshape(-1))
                    .item<double>() /
                state.norm;
        state.velocity = options.momentum * state.velocity -
                         options.learning_rate * std::copysign(1., slope);
        double norm = state.norm + state.velocity;
        if (options.min_norm_share >= 0) {
          norm = std::max(norm, options.min_norm_share * state.start_norm);
        }
        tensor.mul_(norm / state.norm);
        state.scale *= norm / state.norm;
        state.norm = tensor.norm().item<double>();
      }
      seen.slopes.push_back(slope);
      seen.scales.push_back(state.scale);
      seen.norms.push_back(state.norm);
    }
  };
  return Iterate(model, signal, options.iterations, options.batch_size, scaled,
                 GradientParameters(model, GradientLayers::kAll), observer,
                 step);
}

absl::Status ApplyMetainitPort(torch::nn::Module& model, TrainingSignal& signal,
                               const MetainitPortOptions& options,
                               const MetainitObserver& observer) {
  const std::vector<NamedTensor> scaled =
      ScaledParameters(model, options.scaled_names);
  RescaleAdam optimizer(scaled, options.optimizer);
  const auto step = [&](MetainitIteration& seen) {
    optimizer.Step(seen.gradients, RescaleAdam::Kind::kObjective);
    seen.slopes = optimizer.projections();
    seen.scales = optimizer.scales();
    seen.norms = optimizer.norms();
  };
  return Iterate(model, signal, options.iterations, options.batch_size, scaled,
                 GradientParameters(model, options.gradient_layers), observer,
                 step);
}

}  // namespace headstart::initializers
