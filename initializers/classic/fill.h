// Fills a model's tensors layer by layer: the walk that all drawn initializers
// share.
#pragma once

#include <functional>
#include <vector>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"

#include "initializers/initializer.h"
#include "initializers/state_dict.h"

namespace headstart::initializers {

// Inputs and outputs that one unit of a layer is connected to: of a weight
// [out, in, ...] in * receptive field and out * receptive field (torch's
// convention). The weight has two dimensions or more.
struct Fans {
  double in = 0;
  double out = 0;
};
Fans FansOf(const at::Tensor& weight);

// Fills `weight`, a contiguous CPU tensor of two dimensions or more.
using DrawWeight =
    std::function<void(at::Tensor& weight, const at::Generator& generator)>;

// U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)): what torch's linear and convolution
// layers begin with (algorithms of B.1: Kaiming-uniform with slope sqrt(5)).
void DrawFrameworkDefault(at::Tensor& weight, const at::Generator& generator);

// Fills the tensors of `state` for which `wanted` holds, in order: weights of
// two dimensions or more by `draw_weight`; their biases, as torch does, by
// U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)) with the weight's fan_in; a norm
// layer's weight with 1 and bias with 0; running_mean 0, running_var 1,
// num_batches_tracked 0. Returns the names of those that were drawn.
//   Internal  a tensor that none of this covers; nothing was written.
absl::StatusOr<std::vector<std::string>> FillLayers(
    const std::vector<NamedTensor>& state,
    const std::function<bool(const NamedTensor&)>& wanted,
    const DrawWeight& draw_weight, const at::Generator& generator);

}  // namespace headstart::initializers
