// How gradients change weights.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <ATen/core/Tensor.h>

namespace headstart::worker {

// The proto's Sgd and Adam, where the ranges are.
struct SgdOptions {
  double learning_rate;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;
};
struct AdamOptions {
  double learning_rate;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
};
using OptimizerOptions = std::variant<SgdOptions, AdamOptions>;

using NamedParameters = std::vector<std::pair<std::string, at::Tensor>>;

// Updates a model's parameters in place from their gradients.
//
// One pass over the memory of all parameters per step (torch's fused kernels):
// torch::optim's many small ones take three to seven times as long for LeNet.
// The numbers are those of torch::optim up to float rounding.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // One update. Every parameter has a gradient.
  virtual void Step() = 0;

  virtual void SetLearningRate(double learning_rate) = 0;
  // The rate in effect, the options' until it is set.
  virtual double learning_rate() const = 0;

  // What a step depends on beside weights and gradients, as tensors on loan:
  // copying into them is how a run is resumed. Named
  // "<parameter>.exp_avg" and the like; "step" counts the steps (int64).
  virtual std::vector<std::pair<std::string, at::Tensor>> State() const = 0;
};

// State starts at zero.
std::unique_ptr<Optimizer> MakeOptimizer(const OptimizerOptions& options,
                                         NamedParameters parameters);

// The base learning rate of either kind.
double LearningRate(const OptimizerOptions& options);

}  // namespace headstart::worker
