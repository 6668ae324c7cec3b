#include "initializers/classic/zero_init_residual.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <torch/nn/module.h>

#include "initializers/residual_branch.h"

namespace headstart::initializers {

absl::StatusOr<InitializationReport> ZeroInitResidual::Apply(
    torch::nn::Module& model, const InitializerInputs&) const {
  const at::NoGradGuard no_grad;
  bool found = false;
  for (const auto& module : model.modules()) {
    const auto* branch = dynamic_cast<const ResidualBranch*>(module.get());
    if (branch == nullptr) continue;
    const at::Tensor scale = branch->LastNormScale();
    if (!scale.defined()) continue;
    scale.zero_();
    found = true;
  }
  if (found) return InitializationReport();
  return absl::FailedPreconditionError(
      "initializer.zero_init_residual: the model has no residual branch that "
      "ends with a norm.");
}

}  // namespace headstart::initializers
