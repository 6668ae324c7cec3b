// What densely connected networks are made of.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <torch/nn/modules/batchnorm.h>

#include "worker/models/layers.h"

namespace headstart::worker {

// What two layers of Huang et al. 2017 add to the channels that they see:
// conv2(relu(norm2(conv1(relu(norm1(x)))))), a 1x1 convolution to 4 times
// `growth` channels and a 3x3 one to `growth`. Without norms they have biases.
class DenseLayerImpl final : public torch::nn::Module {
 public:
  DenseLayerImpl(int64_t in, int64_t growth, Norm norm);

  at::Tensor forward(const at::Tensor& x);

 private:
  torch::nn::BatchNorm2d norm1_{nullptr};
  Conv2d conv1_{nullptr};
  torch::nn::BatchNorm2d norm2_{nullptr};
  Conv2d conv2_{nullptr};
};
TORCH_MODULE(DenseLayer);

// Layers named denselayer1, 2, ..., each of which sees what the block's input
// has and what all layers before it have made: `in` + layers * growth channels
// in all.
class DenseBlockImpl final : public torch::nn::Module {
 public:
  DenseBlockImpl(int64_t in, int64_t layers, int64_t growth, Norm norm);

  at::Tensor forward(const at::Tensor& x);

 private:
  std::vector<DenseLayer> layers_;
};
TORCH_MODULE(DenseBlock);

// Halves channels and size: the mean of 2x2 pixels of conv(relu(norm(x))).
class DenseTransitionImpl final : public torch::nn::Module {
 public:
  DenseTransitionImpl(int64_t in, Norm norm);

  at::Tensor forward(const at::Tensor& x);

 private:
  torch::nn::BatchNorm2d norm_{nullptr};
  Conv2d conv_{nullptr};
};
TORCH_MODULE(DenseTransition);

}  // namespace headstart::worker
