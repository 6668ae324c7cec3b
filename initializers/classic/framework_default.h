// What a layer freshly built by PyTorch has.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

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

// What the running statistic of a norm begins with, by the name of the buffer
// (layer1.0.bn1.running_var): 0, 1 or 0. Nothing for other tensors.
std::optional<double> FreshStatistic(absl::string_view buffer);

}  // namespace headstart::initializers
