// What a layer freshly built by PyTorch has.
#pragma once

#include <string>
#include <vector>

#include "initializers/initializer.h"

namespace headstart::initializers {

// Linear and convolution: weight and bias from U(-b, b), b = 1 / sqrt(fan_in)
// of the weight. Batch norm: scale 1, shift 0, mean 0, variance 1, count 0.
// Drawn module by module in registration order, weight before bias; then every
// OwnDefault sets what it has differently.
class FrameworkDefault final : public Initializer {
 public:
  absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const override;
};

}  // namespace headstart::initializers
