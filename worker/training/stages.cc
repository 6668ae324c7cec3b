#include "worker/training/stages.h"

#include <numeric>
#include <vector>

#include <ATen/core/Reduction.h>
#include <ATen/ops/kl_div.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/var_mean.h>

namespace headstart::worker {
namespace {

constexpr double kEpsilon = 1e-5;

}  // namespace

PhasePlace PlaceOf(const StagedTraining& stages, int64_t epochs,
                   int64_t epoch) {
  const int64_t each = epochs / stages.count;
  const int64_t stage = (epoch - 1) / each;
  const int64_t within = (epoch - 1) % each + 1;
  return {.phase = stage,
          .epoch = within,
          .epochs = each,
          .begins = stage > 0 && within == 1};
}

int64_t GroupsKept(const LayerWiseStages& options, int64_t stage) {
  // After stage - 1 stages.
  return (stage - 1 + options.repeats - 1) / options.repeats;
}

int64_t BlocksKept(int64_t blocks, int64_t groups, int64_t kept) {
  return (kept * blocks + groups - 1) / groups;
}

int64_t ExamplesThere(int64_t examples, int64_t count, int64_t stage) {
  // In double: the product of two large int64 may not fit one.
  return static_cast<int64_t>(static_cast<double>(examples) * (stage + 1) /
                              count);
}

Moments MomentsOf(const at::Tensor& output, LayerWiseNormalization how) {
  std::vector<int64_t> dims(output.dim());
  std::iota(dims.begin(), dims.end(), 0);
  if (how == LayerWiseNormalization::kChannels) dims.erase(dims.begin() + 1);
  const auto [variance, mean] =
      at::var_mean(output, dims, /*correction=*/at::Scalar(0));
  return {.mean = mean.reshape(-1),
          .deviation = variance.add(kEpsilon).sqrt().reshape(-1)};
}

at::Tensor DistillationLoss(const at::Tensor& logits,
                            const at::Tensor& targets) {
  return at::kl_div(at::log_softmax(logits, 1), targets, at::Reduction::Sum)
      .div(logits.size(0));
}

}  // namespace headstart::worker
