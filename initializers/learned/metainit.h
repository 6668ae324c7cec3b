// MetaInit: scales a start so that the gradient changes little along itself.
#pragma once

#include <cstdint>
#include <functional>
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

// The gradient quotient of `loss`: mean over the parameters' numbers of
// |(g - Hg) / (g + epsilon * sign(g)) - 1| (Dauphin and Schoenholz 2019, eq.
// 2), a scalar with autograd's graph. Parameters without a gradient count with
// a gradient of 0. epsilon is the float nearest to 1e-5 in any precision, as in
// the authors' code.
at::Tensor GradientQuotient(const at::Tensor& loss,
                            absl::Span<const at::Tensor> parameters);

struct MetainitOptions {
  int64_t iterations = 500;
  int64_t batch_size = 32;
  double learning_rate = 0.1;
  double momentum = 0.9;
  // A tensor's norm comes down to this share of its first one at most, where
  // the authors' listing lets it turn its sign; negative: as the listing.
  double min_norm_share = 1e-3;
};

// One iteration, before and after its step.
struct MetainitIteration {
  double quotient;
  double loss;
  absl::Span<const at::Tensor> gradients;  // By each scaled tensor.
  // Of each scaled tensor: the quotient's derivative by the norm, the factor
  // since the start, and the norm after the step.
  std::vector<double> slopes;
  std::vector<double> scales;
  std::vector<double> norms;
};
using MetainitObserver = std::function<void(const MetainitIteration&)>;

// Changes the norms of all trainable parameters of two or more dimensions by
// signs with momentum (the authors' listing; algorithms.md D.2). Batch norms
// use their buffers. Buffers and all other parameters stay bit for bit. On an
// error the model is as before.
//   FailedPrecondition  there is nothing to scale.
//   OutOfRange          the quotient is not finite.
// A shared_ptr owns the module.
absl::Status ApplyMetainit(torch::nn::Module& model, TrainingSignal& signal,
                           const MetainitOptions& options,
                           const MetainitObserver& observer = nullptr);

// The variant of GradInit's authors: factors for weights and biases, learned by
// RescaleAdam, and a quotient over the layers of their code.
struct MetainitPortOptions {
  int64_t iterations = 390;
  int64_t batch_size = 32;
  RescaleAdamOptions optimizer = {.learning_rate = 0.01};
  ScaledNames scaled_names = ScaledNames::kEnding;
  GradientLayers gradient_layers = GradientLayers::kConvLinearBatchNorm;
};
absl::Status ApplyMetainitPort(torch::nn::Module& model, TrainingSignal& signal,
                               const MetainitPortOptions& options,
                               const MetainitObserver& observer = nullptr);

}  // namespace headstart::initializers
