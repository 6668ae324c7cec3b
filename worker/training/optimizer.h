// How gradients change weights.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/training/parameter_group.h"
#include "worker/training/step_math.h"

namespace torch::nn {
class Module;
}

namespace headstart::worker {

// The proto's Sgd, Adam and AdamW, where the ranges are.
struct SgdOptions {
  double learning_rate;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;  // Added to the gradient.
};
struct AdamOptions {
  double learning_rate;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;  // Added to the gradient.
};
// Adam whose decay shrinks the weights themselves, by learning rate x decay.
struct AdamWOptions {
  double learning_rate;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
};
using UpdateRule = std::variant<SgdOptions, AdamOptions, AdamWOptions>;

// What multiplies the rule's learning rate and weight decay for one group.
struct GroupFactors {
  double learning_rate_factor = 1;
  double weight_decay_factor = 1;
};
// Plain parameters have no factors.
struct ParameterGroups {
  GroupFactors bias;
  GroupFactors norm;
  GroupFactors scale;
};

struct OptimizerOptions {
  UpdateRule rule;
  ParameterGroups groups = {};
};

// A parameter on loan, and which factors are its.
struct OptimizedParameter {
  std::string name;
  at::Tensor tensor;
  ParameterGroup group = ParameterGroup::kPlain;
};
using OptimizedParameters = std::vector<OptimizedParameter>;

// Every parameter of the module, in the order of its state dict.
OptimizedParameters ListParameters(torch::nn::Module& module);

// How one step reads and writes.
struct StepOptions {
  // Multiplies every gradient: clipping, or the mean over accumulated batches,
  // without a pass of its own.
  double gradient_scale = 1;
  // What is updated is read where its tensors are and written so many bytes
  // behind: 0 is in place. The numbers are the same, bit for bit.
  std::ptrdiff_t shift_bytes = 0;
  // Writes around the caches, which pays where the memory written is larger
  // than they are. Only with a shift.
  bool streaming = false;
};

// For devices other than the CPU, which do the steps themselves.
//
// The terms of one step by group: `sgd` for SGD, else `adam`.
struct StepTerms {
  std::array<SgdTerms<double>, kParameterGroups> sgd;
  std::array<AdamTerms<double>, kParameterGroups> adam;
};
// A parameter with what the rule keeps of it, on loan; undefined: nothing.
struct OptimizedTensors {
  at::Tensor parameter;
  at::Tensor first;   // Momentum or exp_avg.
  at::Tensor second;  // exp_avg_sq.
  ParameterGroup group;
};

// Updates a model's parameters from their gradients.
//
// One pass over the memory of all parameters per step (step_kernels.h), shared
// out over LibTorch's threads; no result depends on how many they are. The
// numbers are those of torch::optim up to float rounding. Parameters are all
// float or all double.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // One update. A parameter without a gradient keeps its value and its state.
  virtual void Step(const StepOptions& options = {}) = 0;

  // Counts one update that is done elsewhere, on what Tensors() lists, and says
  // with what terms.
  virtual StepTerms CountStep() = 0;
  virtual std::vector<OptimizedTensors> Tensors() const = 0;

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
                                         OptimizedParameters parameters);

// The rule's base learning rate.
double LearningRate(const OptimizerOptions& options);

}  // namespace headstart::worker
