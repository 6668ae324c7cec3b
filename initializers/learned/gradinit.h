// GradInit: scales a start so that the first step lowers the loss most.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/status.h"
#include "absl/types/span.h"

#include "initializers/learned/parameters.h"
#include "initializers/learned/rescale_adam.h"
#include "initializers/learned/training_signal.h"

namespace torch::nn {
class Module;
}

namespace headstart::initializers {

// The optimizer whose first step is simulated.
enum class GradinitStep {
  kSgd,          // Along the gradient over its L2 norm, which is capped.
  kSgdUnscaled,  // Along the gradient itself.
  kAdam,         // Along its signs; the sum of absolute values is capped.
};

struct GradinitOptions {
  int64_t iterations = 390;
  // The training batch is drawn in two halves of this size.
  int64_t half_batch = 64;
  GradinitStep step = GradinitStep::kSgd;
  double step_size = 0.1;                                              // eta
  double max_gradient_norm = std::numeric_limits<double>::infinity();  // gamma
  // Whether the loss after the step is measured on examples of which half were
  // not in the step's batch, or on none of them.
  bool share_half = true;
  RescaleAdamOptions optimizer = {.learning_rate = 0.01};
  ScaledNames scaled_names = ScaledNames::kEnding;
  GradientLayers gradient_layers = GradientLayers::kAll;
};

// One iteration, before and after its step.
struct GradinitIteration {
  bool constraint;   // It made the gradient's norm smaller.
  double objective;  // What it made smaller.
  double norm;
  double loss;
  double next_loss;  // After the simulated step; NaN in constraint iterations.
  const std::vector<at::Tensor>& gradient;  // By the parameters of the step.
  absl::Span<const at::Tensor> gradients;   // By each scaled tensor.
  const RescaleAdam& scales;
};
using GradinitObserver = std::function<void(const GradinitIteration&)>;

// Multiplies each of the model's scaled parameters by a factor learned in
// `iterations` steps (Zhu et al. 2021, algorithm 1, with the choices of
// gradinit_utils.py of zhuchen03/gradinit; algorithms.md D.1): batch norms use
// the batch's statistics. Buffers and all other parameters stay bit for bit. On
// an error the model is as before.
//   FailedPrecondition  there is nothing to scale or to differentiate by.
//   OutOfRange          the objective is not finite.
// A shared_ptr owns the module.
absl::Status ApplyGradinit(torch::nn::Module& model, TrainingSignal& signal,
                           const GradinitOptions& options,
                           const GradinitObserver& observer = nullptr);

}  // namespace headstart::initializers
