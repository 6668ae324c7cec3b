#include "initializers/classic/scaled_weights.h"

#include <cmath>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

namespace headstart::initializers {

void FillScaled(const at::Tensor& weight, Distribution distribution,
                double deviation, at::Generator& generator) {
  if (distribution == Distribution::kNormal) {
    weight.normal_(0, deviation, generator);
  } else {
    const double bound = std::sqrt(3.0) * deviation;
    weight.uniform_(-bound, bound, generator);
  }
}

}  // namespace headstart::initializers
