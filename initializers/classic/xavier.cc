#include "initializers/classic/xavier.h"

#include <cmath>

#include "initializers/classic/fan.h"

namespace headstart::initializers {

absl::StatusOr<InitializationReport> Xavier::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  return DrawScaledWeights(
      model, inputs, options_.distribution, [this](const Fan& fan) {
        return options_.gain * std::sqrt(2.0 / (fan.in + fan.out));
      });
}

}  // namespace headstart::initializers
