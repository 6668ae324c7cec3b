#include "initializers/learned/gradinit.h"

#include <cmath>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <torch/nn/module.h>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "initializers/learned/probe_mode.h"

namespace headstart::initializers {
namespace {

constexpr double kLeastSquare = 1e-24;

LabelledBatch Join(const LabelledBatch& a, const LabelledBatch& b) {
  return {.inputs = at::cat({a.inputs, b.inputs}),
          .labels = at::cat({a.labels, b.labels})};
}

at::Tensor LossOn(TrainingSignal& signal, const LabelledBatch& batch) {
  return at::cross_entropy_loss(signal.Forward(batch.inputs), batch.labels);
}

at::Tensor NormOf(absl::Span<const at::Tensor> gradient, GradinitStep step) {
  const at::Tensor flat = Flatten(gradient);
  return step == GradinitStep::kAdam
             ? flat.abs().sum()
             : flat.square().sum().clamp_min(kLeastSquare).sqrt();
}

// Takes the step; the parameters' old values.
std::vector<at::Tensor> SimulateStep(absl::Span<const at::Tensor> parameters,
                                     absl::Span<const at::Tensor> gradient,
                                     double norm,
                                     const GradinitOptions& options) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> before;
  for (size_t i = 0; i < parameters.size(); ++i) {
    before.push_back(parameters[i].detach().clone());
    at::Tensor direction = gradient[i];
    if (options.step == GradinitStep::kSgd) direction = direction / norm;
    if (options.step == GradinitStep::kAdam) direction = direction.sign();
    parameters[i].sub_(direction, options.step_size);
  }
  return before;
}

void PutBack(absl::Span<const at::Tensor> parameters,
             absl::Span<const at::Tensor> values) {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters.size(); ++i) {
    parameters[i].copy_(values[i]);
  }
}

}  // namespace

absl::Status ApplyGradinit(torch::nn::Module& model, TrainingSignal& signal,
                           const GradinitOptions& options,
                           const GradinitObserver& observer) {
  const std::vector<NamedTensor> scaled =
      ScaledParameters(model, options.scaled_names);
  const std::vector<at::Tensor> parameters =
      GradientParameters(model, options.gradient_layers);
  if (scaled.empty() || parameters.empty()) {
    return absl::FailedPreconditionError(
        "gradinit: the model has no parameter to scale, or none to "
        "differentiate by. Choose another model or initializer.");
  }
  std::vector<at::Tensor> tensors;
  for (const NamedTensor& each : scaled) tensors.push_back(each.tensor);

  const ProbeMode mode(model, BatchNormMode::kBatch);
  ParameterGuard guard(scaled);
  RescaleAdam optimizer(scaled, options.optimizer);
  for (int64_t iteration = 1; iteration <= options.iterations; ++iteration) {
    HS_RETURN_IF_ERROR(signal.GoOn());
    const LabelledBatch first = signal.NextBatch(options.half_batch);
    const LabelledBatch second = signal.NextBatch(options.half_batch);
    const at::Tensor loss = LossOn(signal, Join(first, second));
    std::vector<at::Tensor> gradient =
        GradientsOf(loss, parameters, GraphUse::kKeep);
    const double norm = NormOf(gradient, options.step).item<double>();
    const bool constraint = norm > options.max_gradient_norm;
    double objective = norm;
    double next_loss = std::nan("");
    std::vector<at::Tensor> gradients;
    if (constraint) {
      // Only this kind of step differentiates twice.
      gradients = GradientsOf(
          NormOf(GradientsOf(loss, parameters, GraphUse::kKeepAndDifferentiate),
                 options.step),
          tensors, GraphUse::kFree);
    } else {
      const LabelledBatch third = signal.NextBatch(options.half_batch);
      const LabelledBatch other =
          options.share_half ? first : signal.NextBatch(options.half_batch);
      // The step is a constant: the derivative by the weights after it is that
      // by the weights before it.
      const std::vector<at::Tensor> before =
          SimulateStep(parameters, gradient, norm, options);
      const at::Tensor next = LossOn(signal, Join(other, third));
      gradients =
          GradientsOf(next / options.step_size, tensors, GraphUse::kFree);
      PutBack(parameters, before);
      next_loss = next.item<double>();
      objective = next_loss / options.step_size;
    }
    if (!std::isfinite(objective)) {
      return absl::OutOfRangeError(
          absl::StrCat("gradinit: the objective is ", objective,
                       " in iteration ", iteration, " of ", options.iterations,
                       ". Try a smaller learning_rate or max_gradient_norm."));
    }
    optimizer.Step(gradients, constraint ? RescaleAdam::Kind::kConstraint
                                         : RescaleAdam::Kind::kObjective);
    if (observer == nullptr) continue;
    observer({.constraint = constraint,
              .objective = objective,
              .norm = norm,
              .loss = loss.item<double>(),
              .next_loss = next_loss,
              .gradient = gradient,
              .gradients = gradients,
              .scales = optimizer});
  }
  guard.Keep();
  return absl::OkStatus();
}

}  // namespace headstart::initializers
