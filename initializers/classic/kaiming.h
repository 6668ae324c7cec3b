// Kaiming: widths that keep the variance through layers of ReLU.
#pragma once

#include "initializers/classic/scaled_weights.h"

namespace headstart::initializers {

enum class FanMode {
  kIn,   // Keeps the variance of activations in the forward pass.
  kOut,  // Keeps the variance of gradients in the backward pass.
};

struct KaimingOptions {
  Distribution distribution = Distribution::kUniform;
  // Factor on the width. Above 0. The default, sqrt(2), is the gain of ReLU.
  double gain = 1.4142135623730951;
  FanMode mode = FanMode::kIn;
};

// Standard deviation gain / sqrt(fan) (He et al. 2015).
void FillWeight(const KaimingOptions& options, const at::Tensor& weight,
                at::Generator& generator);

}  // namespace headstart::initializers
