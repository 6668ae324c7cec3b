// LSUV: scales layer after layer until each one's output has variance 1.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/status.h"

#include "initializers/learned/training_signal.h"

namespace torch::nn {
class Module;
}

namespace headstart::initializers {

struct LsuvOptions {
  int64_t batch_size = 128;
  double standard_deviation = 1;
  double mean = 0;
  // A layer is done when its deviation is that close.
  double tolerance = 0.1;
  // Corrections of a layer after which, and one more, it is left as it is.
  int64_t max_attempts = 10;
  // Also moves biases so that the mean of a layer's output is `mean`.
  bool shift_bias = false;
  // As LSUV.py of ducha-aiki/LSUV-pytorch has it since 2020: the first layer is
  // never measured, and all corrections of a layer after its first one go to
  // the first layer.
  bool as_published = false;
};

// A convolution or a linear layer.
struct LsuvLayer {
  const torch::nn::Module* module;
  at::Tensor weight;
  at::Tensor bias;  // May be undefined.
};

// Those of a model, in registration order. A shared_ptr owns the module.
std::vector<LsuvLayer> LsuvLayers(torch::nn::Module& model);

// One look at a layer, before the correction that it leads to.
struct LsuvMeasurement {
  int64_t layer;  // Among the model's convolutions and linear layers.
  int64_t attempt;
  double standard_deviation;  // Of the whole output.
  double mean;
};
using LsuvObserver = std::function<void(const LsuvMeasurement&)>;

// Corrects the convolutions and linear layers in registration order, which has
// to be the order in which they run, on one batch in evaluation mode (Mishkin
// and Matas 2016; algorithms.md B.7). Orthogonal weights come first, from
// another initializer. Buffers stay bit for bit.
//   FailedPrecondition  the model has no such layer, or does not run one.
//   OutOfRange          an output is not finite.
// A shared_ptr owns the module.
absl::Status ApplyLsuv(torch::nn::Module& model, TrainingSignal& signal,
                       const LsuvOptions& options,
                       const LsuvObserver& observer = nullptr);

}  // namespace headstart::initializers
