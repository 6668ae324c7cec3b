// Model: what a training trains.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

namespace headstart::worker {

// What a model gives while it trains.
struct TrainingOutput {
  at::Tensor logits;            // [batch, classes]
  at::Tensor auxiliary_logits;  // The same, or undefined without such a head.
};

// A network that tells images apart.
//
// The names that a model gives to its modules, parameters and buffers are keys
// in stored manifests: renaming one is a format change. Constructors build the
// layers; an initializer fills all of their tensors afterwards, so what torch's
// constructors draw is never used.
class Model : public torch::nn::Module {
 public:
  // From normalized images [batch, channels, height, width] to logits [batch,
  // classes].
  virtual at::Tensor forward(const at::Tensor& images) = 0;

  // The same in training mode, for models whose loss has a second term.
  virtual TrainingOutput ForwardTraining(const at::Tensor& images) {
    return {.logits = forward(images), .auxiliary_logits = {}};
  }

  // Whether other devices cannot train it: a recorded step would not decide
  // anew what it decides on the CPU.
  virtual bool OnlyOnCpu() const { return false; }
};

}  // namespace headstart::worker
