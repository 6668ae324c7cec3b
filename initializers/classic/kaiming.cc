#include "initializers/classic/kaiming.h"

#include <cmath>

#include "initializers/classic/fan.h"

namespace headstart::initializers {

void FillWeight(const KaimingOptions& options, const at::Tensor& weight,
                at::Generator& generator) {
  const Fan fan = FanOf(weight);
  const double side = options.mode == FanMode::kIn ? fan.in : fan.out;
  FillScaled(weight, options.distribution, options.gain / std::sqrt(side),
             generator);
}

}  // namespace headstart::initializers
