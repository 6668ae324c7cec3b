// What Xavier and Kaiming share: weights drawn at a width per layer.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

#include "initializers/initializer.h"

namespace headstart::initializers {

struct Fan;

enum class Distribution { kUniform, kNormal };

// Sets everything to the framework default, then draws each parameter named
// `weight` of two or more dimensions anew, in registration order, with mean 0
// and the standard deviation that `deviation` gives: N(0, s^2), or U(-b, b)
// with b = sqrt(3) s. Errors as Initializer::Apply.
absl::StatusOr<InitializationReport> DrawScaledWeights(
    torch::nn::Module& model, const InitializerInputs& inputs,
    Distribution distribution, absl::FunctionRef<double(const Fan&)> deviation);

}  // namespace headstart::initializers
