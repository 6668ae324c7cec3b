// The start this project is named for: weights that a run has already earned.
#pragma once

#include <utility>

#include "initializers/initializer.h"
#include "initializers/registry.h"

namespace headstart::initializers {

// Copies all parameters and buffers from a stored checkpoint, batch-norm
// statistics included. Strict: names, shapes and types must be the model's,
// but for the layers named as fresh, which begin with the framework's default.
class FromCheckpoint final : public Initializer {
 public:
  explicit FromCheckpoint(CheckpointSpec spec) : spec_(std::move(spec)) {}

  // FailedPrecondition also for a fresh layer that the model does not have.
  absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const override;

 private:
  const CheckpointSpec spec_;
};

}  // namespace headstart::initializers
