#include "initializers/classic/xavier.h"

#include <cmath>

#include "initializers/classic/fan.h"

namespace headstart::initializers {

void FillWeight(const XavierOptions& options, const at::Tensor& weight,
                at::Generator& generator) {
  const Fan fan = FanOf(weight);
  FillScaled(weight, options.distribution,
             options.gain * std::sqrt(2.0 / (fan.in + fan.out)), generator);
}

}  // namespace headstart::initializers
