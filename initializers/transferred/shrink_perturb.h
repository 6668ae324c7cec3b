// Shrink and perturb: a warm start that trains like a fresh one.
#pragma once

#include <ATen/core/Tensor.h>

#include "initializers/initializer.h"

namespace headstart::initializers {

// The proto's ShrinkPerturb.
struct ShrinkPerturbOptions {
  double shrink = 0.4;   // lambda
  double perturb = 0.1;  // gamma
};

// shrink * before + perturb * fresh, in double precision and rounded once.
at::Tensor ShrinkAndPerturb(const at::Tensor& before, const at::Tensor& fresh,
                            const ShrinkPerturbOptions& options);

// Every parameter becomes shrink * itself + perturb * a fresh draw (Ash and
// Adams 2020). As in their code, whose result is a new network, the parameters
// of norms and biases take part too, and buffers are the fresh model's: running
// statistics 0 and 1, counts 0. The draw is the framework default of the
// generator; the sum is made in double precision and rounded once.
class ShrinkPerturb final : public Initializer {
 public:
  explicit ShrinkPerturb(const ShrinkPerturbOptions& options)
      : options_(options) {}

  absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const override;

 private:
  const ShrinkPerturbOptions options_;
};

}  // namespace headstart::initializers
