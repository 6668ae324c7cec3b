// Models with values of their own, beside the one that is trained.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"

#include "initializers/registry.h"
#include "worker/models/model.h"
#include "worker/training/optimizer.h"

namespace headstart::worker {

// Builds the run's model once more, on the CPU; its values are arbitrary.
using ModelFactory = std::function<absl::StatusOr<std::shared_ptr<Model>>()>;

// While it lives, what is drawn from the CPU's default generator does not
// count.
class KeptGenerator final {
 public:
  KeptGenerator();
  // Its draws come from `seed`.
  explicit KeptGenerator(uint64_t seed);
  ~KeptGenerator();
  KeptGenerator(const KeptGenerator&) = delete;
  KeptGenerator& operator=(const KeptGenerator&) = delete;

 private:
  const at::Tensor state_;
};

// What the run's own first values are drawn from.
uint64_t InitializerSeed(int64_t seed);

// A model whose values `initializer`, which only draws, gives it from
// `draw_seed`.
absl::StatusOr<std::shared_ptr<Model>> FreshModel(
    const ModelFactory& make_model,
    const initializers::InitializerOptions& initializer, uint64_t draw_seed);

// As if no step had been taken.
void ResetState(Optimizer& optimizer);

}  // namespace headstart::worker
