// RescaleAdam: learns one factor for each of several tensors.
#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/types/span.h"

#include "initializers/state_dict.h"

namespace headstart::initializers {

struct RescaleAdamOptions {
  double learning_rate;
  // A plain step, learning_rate times the derivative, instead of Adam's (Yang
  // et al. 2022, algorithm 3). Nothing is clipped then.
  bool plain = false;
  double gradient_clip = 1;  // Of each tensor's derivative; 0: none.
  double min_weight_scale = 0.01;
  double min_bias_scale = 0;
};

// The optimizer of GradInit and NIO (Zhu et al. 2021; gradinit_optimizers.py of
// zhuchen03/gradinit): Adam on the factors alpha_k of tensors W_k = alpha_k *
// W0_k, with first moments of their own for two kinds of step and one second
// moment for both. The tensors are scaled in place.
//
// A tensor of zeros has no factor and stays as it is, and so does one whose
// factor has come down to 0. One thread.
class RescaleAdam final {
 public:
  enum class Kind { kObjective, kConstraint };

  // A name with "weight" has the floor of weights, others that of biases.
  RescaleAdam(std::vector<NamedTensor> tensors,
              const RescaleAdamOptions& options);

  // A step down along `gradients`, the derivatives by the tensors; an undefined
  // one passes its tensor over.
  void Step(absl::Span<const at::Tensor> gradients, Kind kind);

  const std::vector<NamedTensor>& tensors() const { return tensors_; }

  // Of each tensor, after the last step: its factor; its L2 norm; the
  // derivative by its factor before clipping, 0 where it was passed over.
  std::vector<double> scales() const;
  std::vector<double> norms() const;
  std::vector<double> projections() const;

 private:
  struct State {
    double start_norm;
    double norm;
    double scale = 1;
    double first[2] = {0, 0};
    int steps[2] = {0, 0};
    double second = 0;
    double projection = 0;
    double min_scale;
  };

  // By how much the factor comes down; `q` is the kind of step.
  double AdamStep(State& state, int q) const;

  const std::vector<NamedTensor> tensors_;
  const RescaleAdamOptions options_;
  std::vector<State> states_;
};

}  // namespace headstart::initializers
