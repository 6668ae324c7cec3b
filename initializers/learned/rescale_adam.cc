#include "initializers/learned/rescale_adam.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/dot.h>

#include "absl/strings/match.h"

#include "base/check.h"

namespace headstart::initializers {
namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEpsilon = 1e-8;

}  // namespace

RescaleAdam::RescaleAdam(std::vector<NamedTensor> tensors,
                         const RescaleAdamOptions& options)
    : tensors_(std::move(tensors)), options_(options) {
  const at::NoGradGuard no_grad;
  for (const NamedTensor& each : tensors_) {
    const double norm = each.tensor.norm().item<double>();
    const bool weight = absl::StrContains(each.name, "weight");
    states_.push_back({.start_norm = norm,
                       .norm = norm,
                       .min_scale = weight ? options.min_weight_scale
                                           : options.min_bias_scale});
  }
}

void RescaleAdam::Step(absl::Span<const at::Tensor> gradients, Kind kind) {
  const at::NoGradGuard no_grad;
  HS_CHECK_EQ(gradients.size(), tensors_.size());
  const int q = kind == Kind::kObjective ? 0 : 1;
  for (size_t k = 0; k < tensors_.size(); ++k) {
    State& state = states_[k];
    state.projection = 0;
    if (!gradients[k].defined() || state.norm == 0) continue;
    const at::Tensor& tensor = tensors_[k].tensor;
    // d/d alpha, since the tensor is alpha * start.
    state.projection =
        at::dot(gradients[k].reshape(-1), tensor.reshape(-1)).item<double>() *
        state.start_norm / state.norm;
    const double step = options_.plain
                            ? options_.learning_rate * state.projection
                            : AdamStep(state, q);
    state.scale = std::max(state.scale - step, state.min_scale);
    tensor.mul_(state.scale * state.start_norm / state.norm);
    state.norm = tensor.norm().item<double>();
  }
}

double RescaleAdam::AdamStep(State& state, int q) const {
  double slope = state.projection;
  if (options_.gradient_clip > 0) {
    slope = std::clamp(slope, -options_.gradient_clip, options_.gradient_clip);
  }
  ++state.steps[q];
  state.first[q] = kBeta1 * state.first[q] + (1 - kBeta1) * slope;
  state.second = kBeta2 * state.second + (1 - kBeta2) * slope * slope;
  const double root =
      std::sqrt(state.second /
                (1 - std::pow(kBeta2, state.steps[0] + state.steps[1]))) +
      kEpsilon;
  const double rate =
      options_.learning_rate / (1 - std::pow(kBeta1, state.steps[q]));
  return rate * state.first[q] / root;
}

std::vector<double> RescaleAdam::scales() const {
  std::vector<double> scales;
  for (const State& state : states_) scales.push_back(state.scale);
  return scales;
}

std::vector<double> RescaleAdam::norms() const {
  std::vector<double> norms;
  for (const State& state : states_) norms.push_back(state.norm);
  return norms;
}

std::vector<double> RescaleAdam::projections() const {
  std::vector<double> projections;
  for (const State& state : states_) projections.push_back(state.projection);
  return projections;
}

}  // namespace headstart::initializers
