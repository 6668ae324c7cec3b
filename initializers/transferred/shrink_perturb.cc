#include "initializers/transferred/shrink_perturb.h"

#include <vector>

#include <ATen/core/grad_mode.h>
#include <torch/nn/module.h>

#include "base/status_macros.h"
#include "initializers/classic/framework_default.h"

namespace headstart::initializers {

at::Tensor ShrinkAndPerturb(const at::Tensor& before, const at::Tensor& fresh,
                            const ShrinkPerturbOptions& options) {
  // Products and sum apart: fused ones would round differently at the ends of
  // each thread's share.
  const at::Tensor kept = before.to(at::kDouble).mul(options.shrink);
  return fresh.to(at::kDouble).mul(options.perturb).add(kept);
}

absl::StatusOr<InitializationReport> ShrinkPerturb::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> parameters = model.parameters();
  std::vector<at::Tensor> before;
  for (const at::Tensor& parameter : parameters) {
    before.push_back(parameter.clone());
  }
  HS_ASSIGN_OR_RETURN(InitializationReport report,
                      FrameworkDefault().Apply(model, inputs));
  for (size_t i = 0; i < parameters.size(); ++i) {
    parameters[i].copy_(ShrinkAndPerturb(before[i], parameters[i], options_));
  }
  return report;
}

}  // namespace headstart::initializers
