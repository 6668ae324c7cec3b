#include "initializers/learned/nio.h"

#include <cmath>
#include <utility>

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/stack.h>
#include <torch/nn/module.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace headstart::initializers {
namespace {

// The losses of one batch's sub-batches, from one forward pass: batch norm sees
// the whole batch.
std::vector<at::Tensor> SubBatchLosses(TrainingSignal& signal,
                                       const NioOptions& options,
                                       absl::Span<const Interval> intervals) {
  const LabelledBatch batch = signal.NextBatch(options.batch_size);
  const at::Tensor each =
      at::cross_entropy_loss(signal.Forward(batch.inputs), batch.labels,
                             /*weight=*/{}, at::Reduction::None);
  std::vector<at::Tensor> losses;
  for (const Interval& interval : intervals) {
    losses.push_back(
        each.narrow(0, interval.begin, interval.end - interval.begin).mean());
  }
  return losses;
}

// [D, m], without a graph; the losses' own stays.
at::Tensor GradientRows(absl::Span<const at::Tensor> losses,
                        absl::Span<const at::Tensor> parameters) {
  std::vector<at::Tensor> rows;
  for (const at::Tensor& loss : losses) {
    rows.push_back(Flatten(GradientsOf(loss, parameters, GraphUse::kKeep)));
  }
  return at::stack(rows);
}

std::vector<double> Values(const at::Tensor& tensor) {
  const at::Tensor values = tensor.detach().to(at::kDouble).contiguous();
  const double* begin = values.const_data_ptr<double>();
  return {begin, begin + values.numel()};
}

// d objective / d each scaled tensor, by way of the gradients: `by_gradient` is
// d objective / d gradients [D, m]. One sub-batch's second pass at a time, so
// that only its graph is in memory.
std::vector<at::Tensor> SecondPass(absl::Span<const at::Tensor> losses,
                                   absl::Span<const at::Tensor> parameters,
                                   const at::Tensor& by_gradient,
                                   absl::Span<const NamedTensor> scaled) {
  std::vector<at::Tensor> tensors;
  for (const NamedTensor& each : scaled) tensors.push_back(each.tensor);
  std::vector<at::Tensor> sums;
  for (size_t d = 0; d < losses.size(); ++d) {
    const at::Tensor product =
        at::dot(Flatten(GradientsOf(losses[d], parameters,
                                    GraphUse::kKeepAndDifferentiate)),
                by_gradient[static_cast<int64_t>(d)]);
    const bool last = d + 1 == losses.size();
    std::vector<at::Tensor> gradients =
        GradientsOf(product, tensors, last ? GraphUse::kFree : GraphUse::kKeep);
    if (d == 0) {
      sums = std::move(gradients);
    } else {
      for (size_t k = 0; k < sums.size(); ++k) sums[k].add_(gradients[k]);
    }
  }
  return sums;
}

absl::Status CheckParameters(absl::Span<const NamedTensor> scaled,
                             absl::Span<const at::Tensor> parameters) {
  if (!scaled.empty() && !parameters.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "nio: the model has no parameter to scale, or none to differentiate by. "
      "Choose another model or initializer.");
}

}  // namespace

at::Tensor NioObjectiveOf(const GradientTerms& terms,
                          const NioOptions& options) {
  const double count = static_cast<double>(terms.norms.size(0));
  const double weight =
      options.norm_weight / (options.norms == NioNorms::kMean ? count : 1);
  const at::Tensor norms = terms.norms.sum() * weight;
  const at::Tensor squares = terms.norms.square().sum() * weight;
  const at::Tensor cosine = options.diagonal
                                ? 1 / count + (1 - 1 / count) * terms.cosine
                                : terms.cosine;
  switch (options.objective) {
    case NioObjective::kCosine:
      return -cosine;
    case NioObjective::kCosineAndNorms:
      return -cosine - norms;
    case NioObjective::kCosineAndSquaredNorms:
      return -cosine - squares;
    case NioObjective::kVariance:
      return terms.variance;
    case NioObjective::kVarianceAndNorms:
      return terms.variance - norms;
    case NioObjective::kVarianceAndSquaredNorms:
      return terms.variance - squares;
  }
  return {};
}

absl::Status ApplyNio(torch::nn::Module& model, TrainingSignal& signal,
                      const NioOptions& options, const NioObserver& observer) {
  HS_ASSIGN_OR_RETURN(const std::vector<Interval> intervals,
                      SplitBatch(options.split, options.batch_size,
                                 options.sub_batches, options.overlap));
  const std::vector<NamedTensor> scaled =
      ScaledParameters(model, options.scaled_names);
  const std::vector<at::Tensor> parameters =
      GradientParameters(model, options.gradient_layers);
  HS_RETURN_IF_ERROR(CheckParameters(scaled, parameters));
  const ProbeMode mode(model, options.batch_norm);
  ParameterGuard guard(scaled);
  RescaleAdam optimizer(scaled, options.optimizer);
  for (int64_t iteration = 1; iteration <= options.iterations; ++iteration) {
    HS_RETURN_IF_ERROR(signal.GoOn());
    const std::vector<at::Tensor> losses =
        SubBatchLosses(signal, options, intervals);
    const at::Tensor rows = GradientRows(losses, parameters).requires_grad_();
    const GradientTerms terms = TermsOf(rows);
    const at::Tensor mean_norm = terms.norms.mean();
    const at::Tensor capped =
        options.cap == NioCap::kMeanNorm ? mean_norm : terms.norms.max();
    const bool constraint = capped.item<double>() > options.max_gradient_norm;
    const at::Tensor objective =
        constraint ? mean_norm : NioObjectiveOf(terms, options);
    if (!std::isfinite(objective.item<double>())) {
      return absl::OutOfRangeError(
          absl::StrCat("nio: the objective is ", objective.item<double>(),
                       " in iteration ", iteration, " of ", options.iterations,
                       ". Try a smaller learning_rate or max_gradient_norm."));
    }
    const at::Tensor by_gradient =
        GradientsOf(objective, {rows}, GraphUse::kFree)[0];
    const std::vector<at::Tensor> gradients =
        SecondPass(losses, parameters, by_gradient, scaled);
    optimizer.Step(gradients, constraint ? RescaleAdam::Kind::kConstraint
                                         : RescaleAdam::Kind::kObjective);
    if (observer == nullptr) continue;
    observer({.constraint = constraint,
              .objective = objective.item<double>(),
              .norms = Values(terms.norms),
              .cosine = terms.cosine.item<double>(),
              .variance = terms.variance.item<double>(),
              .gradients = gradients,
              .scales = optimizer});
  }
  guard.Keep();
  return absl::OkStatus();
}

absl::StatusOr<GradientMeasurement> MeasureGradients(
    torch::nn::Module& model, TrainingSignal& signal,
    const NioOptions& options) {
  HS_ASSIGN_OR_RETURN(const std::vector<Interval> intervals,
                      SplitBatch(options.split, options.batch_size,
                                 options.sub_batches, options.overlap));
  const ProbeMode mode(model, options.batch_norm);
  const std::vector<at::Tensor> parameters =
      GradientParameters(model, options.gradient_layers);
  const GradientTerms terms = TermsOf(
      GradientRows(SubBatchLosses(signal, options, intervals), parameters));
  return GradientMeasurement{.norms = Values(terms.norms),
                             .cosine = terms.cosine.item<double>(),
                             .variance = terms.variance.item<double>()};
}

}  // namespace headstart::initializers
