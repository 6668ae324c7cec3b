// A small convolutional network, about 100,000 parameters.
#pragma once

#include <cstdint>

#include <torch/nn/modules/batchnorm.h>

#include "initializers/blocks.h"
#include "worker/models/layers.h"
#include "worker/models/model.h"

namespace headstart::worker {

// Three times a 3x3 convolution without bias, batch norm, ReLU; 2x2 max pooling
// after the first two, the mean over all positions after the third, then one
// linear layer: channels-32-64-128-classes. Any image size from 4x4 on; 94,186
// parameters for 1 channel and 10 classes, 94,762 for 3.
class SmallCnn final : public Model, public initializers::BlockedModel {
 public:
  SmallCnn(int64_t channels, int64_t classes);

  at::Tensor forward(const at::Tensor& images) override;
  std::vector<std::vector<std::string>> BlockParts() const override {
    return {{"conv1", "bn1"}, {"conv2", "bn2"}, {"conv3", "bn3", "linear"}};
  }

 private:
  Conv2d conv1_;
  torch::nn::BatchNorm2d bn1_;
  Conv2d conv2_;
  torch::nn::BatchNorm2d bn2_;
  Conv2d conv3_;
  torch::nn::BatchNorm2d bn3_;
  Linear linear_;
};

}  // namespace headstart::worker
