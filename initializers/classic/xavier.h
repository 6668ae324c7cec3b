// Xavier: widths between what forward and backward pass ask for.
#pragma once

#include "initializers/classic/scaled_weights.h"

namespace headstart::initializers {

struct XavierOptions {
  Distribution distribution = Distribution::kUniform;
  double gain = 1;  // Factor on the width. Above 0.
};

// Standard deviation gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio
// 2010).
void FillWeight(const XavierOptions& options, const at::Tensor& weight,
                at::Generator& generator);

}  // namespace headstart::initializers
