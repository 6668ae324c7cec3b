// Residual blocks that begin as their shortcuts.
#pragma once

#include "initializers/initializer.h"

namespace headstart::initializers {

// Sets the scale of the last norm of every residual branch to 0 (Goyal et al.
// 2017, section 5.1; torchvision's zero_init_residual). All else stays.
//   FailedPrecondition  the model has no branch that ends with a norm.
class ZeroInitResidual final : public Initializer {
 public:
  absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const override;
};

}  // namespace headstart::initializers
