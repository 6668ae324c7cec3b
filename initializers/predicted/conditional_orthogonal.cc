#include "initializers/predicted/conditional_orthogonal.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/where.h>

#include "absl/strings/str_cat.h"

#include "initializers/classic/orthogonal.h"
#include "initializers/state_dict.h"

namespace headstart::initializers {
namespace {

// Part of a row's length below which what it varies by is rounding.
constexpr double kConstant = 1e-12;

void AddNoise(const at::Tensor& weight, double deviation,
              at::Generator& generator) {
  at::Tensor noise = at::empty(weight.sizes(), weight.options());
  noise.normal_(0, 1, generator);
  weight.add_(noise, deviation);
}

}  // namespace

// With the rows z centred and of length 1 the correlations are R = Z Z^T, whose
// entries sum to |sum of z|^2 and whose squares sum to |Z^T Z|^2. So R, with
// max(out, the rest)^2 entries, is never there as a whole.
double CorrelationDeviation(const at::Tensor& weight, NoiseMode mode) {
  at::Tensor rows = weight.flatten(1).to(at::kDouble);
  if (mode == NoiseMode::kCode && rows.size(0) < rows.size(1)) rows = rows.t();
  const double entries = std::pow(static_cast<double>(rows.size(0)), 2);
  if (entries <= 1) return 0;

  at::Tensor z = rows - rows.mean(1, /*keepdim=*/true);
  const at::Tensor length = z.norm(2, {1}, /*keepdim=*/true);
  const at::Tensor constant =
      length.le(rows.norm(2, {1}, /*keepdim=*/true) * kConstant);
  z = at::where(constant, 0., z / length);

  const at::Tensor gram = z.size(0) < z.size(1) ? z.mm(z.t()) : z.t().mm(z);
  const double sum = z.sum(0).square().sum().item<double>();
  const double sum_of_squares = gram.square().sum().item<double>();
  const double variance =
      (sum_of_squares - sum * sum / entries) / (entries - 1);
  return std::isfinite(variance) ? std::sqrt(std::max(0., variance)) : 0;
}

absl::StatusOr<InitializationReport> ConditionalOrthogonal::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  const at::NoGradGuard no_grad;
  const std::vector<NamedTensor> weights = LayerWeights(model);
  const int64_t last = static_cast<int64_t>(weights.size()) - 1;
  if (options_.first_layer > last) {
    return absl::FailedPreconditionError(absl::StrCat(
        "initializer.conditional_orthogonal.first_layer: ",
        options_.first_layer, " is past the end: the model has ", last + 1,
        " layers with weights, of which the last one keeps its own. Choose 1 "
        "to ",
        last, "."));
  }
  InitializationReport report;
  for (int64_t layer = 1; layer <= last; ++layer) {
    const NamedTensor& weight = weights[layer - 1];
    const bool chosen = layer >= options_.first_layer;
    if (weight.tensor.numel() == 0) continue;
    if (options_.noise > 0 && (chosen || options_.mode == NoiseMode::kPaper)) {
      AddNoise(
          weight.tensor,
          options_.noise * CorrelationDeviation(weight.tensor, options_.mode),
          inputs.generator);
      report.drawn_names.push_back(weight.name);
    }
    if (chosen) weight.tensor.copy_(OrthogonalFactor(weight.tensor));
  }
  return report;
}

}  // namespace headstart::initializers
