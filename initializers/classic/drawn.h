// The classic random starts: framework default, Xavier, Kaiming.
#pragma once

#include <utility>

#include "initializers/classic/fill.h"
#include "initializers/initializer.h"
#include "initializers/registry.h"

namespace headstart::initializers {

// Draws every weight by one rule; biases, norm layers and buffers get the
// framework's default (fill.h).
class Drawn final : public Initializer {
 public:
  explicit Drawn(DrawWeight draw_weight)
      : draw_weight_(std::move(draw_weight)) {}

  absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const override;

 private:
  const DrawWeight draw_weight_;
};

// U(-a, a) with a = gain * sqrt(6 / (fan_in + fan_out)), or N(0, s^2) with s =
// gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010, eq. 16).
DrawWeight XavierRule(const XavierSpec& spec);

// U(-b, b) with b = sqrt(3) * gain / sqrt(fan), or N(0, s^2) with s = gain /
// sqrt(fan) (He et al. 2015, eq. 10 and 14).
DrawWeight KaimingRule(const KaimingSpec& spec);

}  // namespace headstart::initializers
