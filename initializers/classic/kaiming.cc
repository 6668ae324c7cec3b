#include "initializers/classic/kaiming.h"

#include <cmath>

#include "initializers/classic/fan.h"

namespace headstart::initializers {

absl::StatusOr<InitializationReport> Kaiming::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  return DrawScaledWeights(
      model, inputs, options_.distribution, [this](const Fan& fan) {
        const double side = options_.mode == FanMode::kIn ? fan.in : fan.out;
        return options_.gain / std::sqrt(side);
      });
}

}  // namespace headstart::initializers
