#include "worker/trainer/loss.h"

#include <algorithm>
#include <cmath>

#include <ATen/core/Reduction.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/linalg_vector_norm.h>

#include "worker/measurement/evaluation.h"

namespace headstart::worker {
namespace {

at::Tensor CrossEntropy(const at::Tensor& logits, const at::Tensor& labels,
                        const LossOptions& options) {
  return at::cross_entropy_loss(logits, labels, /*weight=*/{},
                                at::Reduction::Mean, /*ignore_index=*/-100,
                                options.label_smoothing);
}

at::Tensor HeadLoss(const at::Tensor& logits, const Batch& batch,
                    const LossOptions& options) {
  const at::Tensor loss = CrossEntropy(logits, batch.labels, options);
  if (!batch.mixed_labels.defined()) return loss;
  if (const at::Tensor& weight = batch.mix_weight_tensor; weight.defined()) {
    return loss * weight.to(loss.scalar_type()) +
           CrossEntropy(logits, batch.mixed_labels, options) *
               (1 - weight).to(loss.scalar_type());
  }
  return loss * batch.mix_weight +
         CrossEntropy(logits, batch.mixed_labels, options) *
             (1 - batch.mix_weight);
}

}  // namespace

Batch Rows(const Batch& batch, int64_t begin, int64_t end) {
  const auto rows = [&](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.narrow(0, begin, end - begin) : tensor;
  };
  return {.images = rows(batch.images),
          .labels = rows(batch.labels),
          .mixed_labels = rows(batch.mixed_labels),
          .mix_weight = batch.mix_weight,
          .mix_weight_tensor = batch.mix_weight_tensor};
}

at::Tensor TrainingLoss(const TrainingOutput& output, const Batch& batch,
                        const LossOptions& options) {
  at::Tensor loss = HeadLoss(output.logits, batch, options);
  if (output.auxiliary_logits.defined()) {
    loss = loss + HeadLoss(output.auxiliary_logits, batch, options) *
                      options.auxiliary_weight;
  }
  return loss;
}

double CountCorrect(const at::Tensor& logits, const Batch& batch) {
  const at::NoGradGuard no_grad;
  const double correct = CountCorrect(logits, batch.labels);
  if (!batch.mixed_labels.defined()) return correct;
  return correct * batch.mix_weight +
         CountCorrect(logits, batch.mixed_labels) * (1 - batch.mix_weight);
}

double GradientNorm(absl::Span<const at::Tensor> parameters) {
  const at::NoGradGuard no_grad;
  double squares = 0;
  for (const at::Tensor& parameter : parameters) {
    if (!parameter.grad().defined()) continue;
    const double norm = at::linalg_vector_norm(parameter.grad(), 2, /*dim=*/{},
                                               /*keepdim=*/false, at::kDouble)
                            .item<double>();
    squares += norm * norm;
  }
  return std::sqrt(squares);
}

double ClipFactor(double norm, double limit) {
  if (limit == 0) return 1;
  const double factor = limit / (norm + 1e-6);
  return std::isnan(factor) ? factor : std::min(1.0, factor);
}

}  // namespace headstart::worker
