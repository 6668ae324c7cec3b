#include "worker/training/parameter_group.h"

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/instancenorm.h>
#include <torch/nn/modules/normalization.h>

#include "absl/strings/match.h"

namespace headstart::worker {
namespace {

template <typename... Modules>
bool IsOneOf(const torch::nn::Module& module) {
  return ((dynamic_cast<const Modules*>(&module) != nullptr) || ...);
}

bool IsNorm(const torch::nn::Module& module) {
  using namespace torch::nn;  // NOLINT: a list of its names.
  return IsOneOf<BatchNorm1dImpl, BatchNorm2dImpl, BatchNorm3dImpl,
                 InstanceNorm1dImpl, InstanceNorm2dImpl, InstanceNorm3dImpl,
                 LayerNormImpl, GroupNormImpl>(module);
}

}  // namespace

ParameterGroup GroupOf(const torch::nn::Module& module,
                       absl::string_view name) {
  if (IsNorm(module)) return ParameterGroup::kNorm;
  if (absl::StrContains(name, "scale")) return ParameterGroup::kScale;
  if (absl::StrContains(name, "bias")) return ParameterGroup::kBias;
  return ParameterGroup::kPlain;
}

}  // namespace headstart::worker
