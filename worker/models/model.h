// Model: what a training trains.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

namespace headstart::worker {

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
};

}  // namespace headstart::worker
