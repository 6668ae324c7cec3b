// Which parameters a learned initializer scales, which it differentiates by,
// and their gradients.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/types/span.h"

#include "initializers/state_dict.h"

namespace headstart::initializers {

// Which names get a factor.
enum class ScaledNames {
  kContaining,  // "weight" or "bias" anywhere, as the published code.
  kEnding,      // Only ".weight" and ".bias": not Swin's bias tables.
};

// The trainable parameters that get a factor: those with "weight" in
// registration order, then those with "bias". A shared_ptr owns the module.
std::vector<NamedTensor> ScaledParameters(torch::nn::Module& module,
                                          ScaledNames names);

// Which layers' parameters make up the gradient vector.
enum class GradientLayers {
  kAll,                  // Every trainable parameter.
  kConvLinearLayerNorm,  // As NIO's published code.
  kConvLinearBatchNorm,  // As GradInit's published code.
};

std::vector<at::Tensor> GradientParameters(torch::nn::Module& module,
                                           GradientLayers layers);

enum class GraphUse { kFree, kKeep, kKeepAndDifferentiate };

// d scalar / d parameters; zeros where it does not depend on one. kKeep leaves
// the graph for another call, the last one also records one of the result.
std::vector<at::Tensor> GradientsOf(const at::Tensor& scalar,
                                    absl::Span<const at::Tensor> parameters,
                                    GraphUse use);

// All in one vector [m].
at::Tensor Flatten(absl::Span<const at::Tensor> tensors);

// Parameters' values, put back unless Keep was called: what is learned is kept
// whole or not at all.
class ParameterGuard final {
 public:
  explicit ParameterGuard(const std::vector<NamedTensor>& tensors);
  ~ParameterGuard();
  ParameterGuard(const ParameterGuard&) = delete;
  ParameterGuard& operator=(const ParameterGuard&) = delete;

  void Keep() { kept_ = true; }

 private:
  const std::vector<NamedTensor> tensors_;
  std::vector<at::Tensor> start_;
  bool kept_ = false;
};

}  // namespace headstart::initializers
