// How the gradients of several sub-batches agree.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"

namespace headstart::initializers {

// Examples begin .. end - 1 of a batch.
struct Interval {
  int64_t begin;
  int64_t end;

  bool operator==(const Interval&) const = default;
};

// How a batch of B becomes D overlapping sub-batches (algorithms.md C.3).
enum class SubBatchSplit {
  // Equal sizes N = ceil(B / (D - (D - 1) r)), evenly spread: covers the batch.
  kBalanced,
  // Yang et al. 2022, eq. 7, as printed: N = ceil(B / (D - r)), starts rounded
  // down, cut off at B. Covers the batch only for D = 2 or r = 0.
  kPaper,
  // The published code: inner sub-batches are larger, and overlap more.
  kOfficial,
};

// InvalidArgument unless 2 <= sub_batches <= batch and 0 <= overlap < 1.
absl::StatusOr<std::vector<Interval>> SplitBatch(SubBatchSplit split,
                                                 int64_t batch,
                                                 int64_t sub_batches,
                                                 double overlap);

// Of gradients [D, m], with autograd's graph to them. Norms are clamped below
// at 1e-12, so that a zero gradient has cosine 0 with all others.
struct GradientTerms {
  at::Tensor norms;     // [D]
  at::Tensor cosine;    // Mean over all pairs of different gradients.
  at::Tensor variance;  // Sum over the m of each one's population variance.
};

GradientTerms TermsOf(const at::Tensor& gradients);

}  // namespace headstart::initializers
