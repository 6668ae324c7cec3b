// Xavier: widths between what forward and backward pass ask for.
#pragma once

#include "initializers/classic/scaled_weights.h"
#include "initializers/initializer.h"

namespace headstart::initializers {

struct XavierOptions {
  Distribution distribution = Distribution::kUniform;
  double gain = 1;  // Factor on the width. Above 0.
};

// Weights of two or more dimensions with standard deviation gain * sqrt(2 /
// (fan_in + fan_out)) (Glorot and Bengio 2010); all else keeps the framework
// default.
class Xavier final : public Initializer {
 public:
  explicit Xavier(const XavierOptions& options) : options_(options) {}

  absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const override;

 private:
  const XavierOptions options_;
};

}  // namespace headstart::initializers
