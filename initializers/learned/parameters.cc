#include "initializers/learned/parameters.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/normalization.h>

#include "absl/strings/match.h"

namespace headstart::initializers {
namespace {

bool IsScaled(absl::string_view name, absl::string_view what,
              ScaledNames names) {
  if (names == ScaledNames::kContaining) return absl::StrContains(name, what);
  const size_t dot = name.rfind('.');
  return name.substr(dot == absl::string_view::npos ? 0 : dot + 1) == what;
}

bool IsIncluded(const torch::nn::Module& module, GradientLayers layers) {
  if (layers == GradientLayers::kAll) return true;
  if (dynamic_cast<const torch::nn::LayerNormImpl*>(&module) != nullptr) {
    return layers == GradientLayers::kConvLinearLayerNorm;
  }
  if (dynamic_cast<const torch::nn::BatchNorm2dImpl*>(&module) != nullptr) {
    return layers == GradientLayers::kConvLinearBatchNorm;
  }
  // What multiplies: convolutions and linear layers.
  const auto parameters = module.named_parameters(/*recurse=*/false);
  const at::Tensor* weight = parameters.find("weight");
  return weight != nullptr && weight->dim() >= 2;
}

}  // namespace

std::vector<NamedTensor> ScaledParameters(torch::nn::Module& module,
                                          ScaledNames names) {
  std::vector<NamedTensor> scaled;
  for (const char* what : {"weight", "bias"}) {
    for (const NamedTensor& each : StateDict(module)) {
      if (each.is_buffer || !each.tensor.requires_grad()) continue;
      if (!IsScaled(each.name, what, names)) continue;
      // A weight first of all, should a name have both.
      if (absl::string_view(what) == "bias" &&
          IsScaled(each.name, "weight", names)) {
        continue;
      }
      scaled.push_back(each);
    }
  }
  return scaled;
}

std::vector<at::Tensor> GradientParameters(torch::nn::Module& module,
                                           GradientLayers layers) {
  std::vector<at::Tensor> parameters;
  for (const auto& below : module.modules()) {
    if (!IsIncluded(*below, layers)) continue;
    for (const at::Tensor& each : below->parameters(/*recurse=*/false)) {
      if (each.requires_grad()) parameters.push_back(each);
    }
  }
  return parameters;
}

std::vector<at::Tensor> GradientsOf(const at::Tensor& scalar,
                                    absl::Span<const at::Tensor> parameters,
                                    GraphUse use) {
  std::vector<at::Tensor> gradients = torch::autograd::grad(
      {scalar}, {parameters.begin(), parameters.end()}, /*grad_outputs=*/{},
      /*retain_graph=*/use != GraphUse::kFree,
      /*create_graph=*/use == GraphUse::kKeepAndDifferentiate,
      /*allow_unused=*/true);
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined()) gradients[i] = at::zeros_like(parameters[i]);
  }
  return gradients;
}

at::Tensor Flatten(absl::Span<const at::Tensor> tensors) {
  std::vector<at::Tensor> flat;
  for (const at::Tensor& each : tensors) flat.push_back(each.reshape(-1));
  return at::cat(flat);
}

ParameterGuard::ParameterGuard(const std::vector<NamedTensor>& tensors)
    : tensors_(tensors) {
  const at::NoGradGuard no_grad;
  for (const NamedTensor& each : tensors_) {
    start_.push_back(each.tensor.detach().clone());
  }
}

ParameterGuard::~ParameterGuard() {
  if (kept_) return;
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    tensors_[i].tensor.copy_(start_[i]);
  }
}

}  // namespace headstart::initializers
