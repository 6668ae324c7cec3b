// The weights of a stored checkpoint.
#pragma once

#include <string>
#include <vector>

#include "initializers/initializer.h"

namespace headstart::initializers {

struct FromCheckpointOptions {
  std::string checkpoint;  // Full name: studies/1/trials/12/epochs/5.
  // Module name prefixes whose tensors keep the framework default.
  std::vector<std::string> fresh_layers;
};

// All parameters and buffers from a checkpoint, but for the fresh layers;
// names, shapes and types must match exactly.
class FromCheckpoint final : public Initializer {
 public:
  explicit FromCheckpoint(FromCheckpointOptions options);

  absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const override;

 private:
  bool IsFresh(absl::string_view tensor) const;

  const FromCheckpointOptions options_;
};

}  // namespace headstart::initializers
