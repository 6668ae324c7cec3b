// What a training step minimizes, and how far its gradient may reach.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "absl/types/span.h"

#include "worker/datasets/dataset.h"
#include "worker/models/model.h"

namespace headstart::worker {

// The proto's Loss, where the ranges are.
struct LossOptions {
  double label_smoothing = 0;
  double auxiliary_weight = 0.4;
};

// Rows `begin` up to `end` of a batch; shares its memory.
Batch Rows(const Batch& batch, int64_t begin, int64_t end);

// Mean cross-entropy over the batch, of the labels and, after mixup, the mixed
// labels with their weights; plus that of the auxiliary head, where the model
// has one, with its weight. The logits are float or double.
at::Tensor TrainingLoss(const TrainingOutput& output, const Batch& batch,
                        const LossOptions& options);

// How many examples are classified correctly; after mixup an image counts by
// the weight of the label that was met.
double CountCorrect(const at::Tensor& logits, const Batch& batch);

// L2 norm over all gradients, summed in double; tensors without one count as 0.
double GradientNorm(absl::Span<const at::Tensor> parameters);

// What scales gradients of this norm down to `limit` (0: no limit), at most 1:
// limit / (norm + 1e-6), as torch's clip_grad_norm_ has it.
double ClipFactor(double norm, double limit);

}  // namespace headstart::worker
