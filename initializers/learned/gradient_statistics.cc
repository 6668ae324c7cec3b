#include "initializers/learned/gradient_statistics.h"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mm.h>

#include "absl/strings/str_cat.h"

namespace headstart::initializers {
namespace {

// Integers that a sum of fractions was meant to be stay integers.
constexpr double kRounding = 1e-9;

int64_t Up(double value) {
  return static_cast<int64_t>(std::ceil(value - kRounding));
}
int64_t Down(double value) {
  return static_cast<int64_t>(std::floor(value + kRounding));
}

}  // namespace

absl::StatusOr<std::vector<Interval>> SplitBatch(SubBatchSplit split,
                                                 int64_t batch,
                                                 int64_t sub_batches,
                                                 double overlap) {
  if (sub_batches < 2 || sub_batches > batch) {
    return absl::InvalidArgumentError(
        absl::StrCat("sub_batches: must be from 2 to the batch's ", batch,
                     " examples, got ", sub_batches, "."));
  }
  if (!(overlap >= 0 && overlap < 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "overlap: must be at least 0 and below 1, got ", overlap, "."));
  }
  std::vector<Interval> intervals;
  const double size = static_cast<double>(batch);
  for (int64_t d = 0; d < sub_batches; ++d) {
    switch (split) {
      case SubBatchSplit::kBalanced: {
        const int64_t length = std::min(
            batch, Up(size / (sub_batches - (sub_batches - 1) * overlap)));
        const int64_t begin = std::llround(
            static_cast<double>(d * (batch - length)) / (sub_batches - 1));
        intervals.push_back({begin, begin + length});
        break;
      }
      case SubBatchSplit::kPaper: {
        const int64_t length = Up(size / (sub_batches - overlap));
        const int64_t begin =
            std::min(batch - 1, Down(length * d * (1 - overlap)));
        intervals.push_back({begin, std::min(batch, begin + length)});
        break;
      }
      case SubBatchSplit::kOfficial: {
        // Cut off as Python's int() does, without mending the fractions.
        const int64_t length = batch / sub_batches;
        const auto begin = static_cast<int64_t>((1 - overlap) * length * d);
        const auto end = static_cast<int64_t>((1 + overlap) * length * (d + 1));
        intervals.push_back({d == 0 ? 0 : begin, d == sub_batches - 1
                                                     ? batch
                                                     : std::min(batch, end)});
        break;
      }
    }
  }
  return intervals;
}

GradientTerms TermsOf(const at::Tensor& gradients) {
  constexpr double kLeastSquare = 1e-24;
  const int64_t count = gradients.size(0);
  const at::Tensor norms =
      gradients.square().sum(1).clamp_min(kLeastSquare).sqrt();
  const at::Tensor directions = gradients / norms.unsqueeze(1);
  const at::Tensor cosines = at::mm(directions, directions.t());
  const at::Tensor centered = gradients - gradients.mean(0, /*keepdim=*/true);
  return {.norms = norms,
          .cosine = (cosines.sum() - cosines.diagonal().sum()) /
                    static_cast<double>(count * count - count),
          .variance = centered.square().sum() / static_cast<double>(count)};
}

}  // namespace headstart::initializers
