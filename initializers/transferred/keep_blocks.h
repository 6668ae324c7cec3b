// The first blocks as they are, the others fresh.
#pragma once

#include <cstdint>

#include "initializers/initializer.h"

namespace headstart::initializers {

// The proto's KeepBlocks.
struct KeepBlocksOptions {
  int64_t blocks;  // How many are kept.
};

// The model's first blocks (blocks.h) stay, parameters and buffers; all behind
// them become what a fresh model of the generator has, framework default and
// fresh running statistics (layer-wise re-initialization, Alabdulmohsin et al.
// 2021).
//   FailedPrecondition  the model has no more blocks than are to be kept; the
//                       message lists them.
class KeepBlocks final : public Initializer {
 public:
  explicit KeepBlocks(const KeepBlocksOptions& options) : options_(options) {}

  absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const override;

 private:
  const KeepBlocksOptions options_;
};

}  // namespace headstart::initializers
