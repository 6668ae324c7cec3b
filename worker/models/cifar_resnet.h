// ResNet-18 with the stem for small images.
#pragma once

#include <cstdint>

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "worker/models/model.h"

namespace headstart::worker {

// The residual network of He et al. 2016 in its layout for CIFAR: a 3x3 stem
// with stride 1, no pooling behind it, four stages of two basic blocks with 64,
// 128, 256 and 512 planes. The mean over all positions comes before `linear`,
// so that other image sizes than 32x32 work too. 11,173,962 parameters for 3
// channels and 10 classes.
//
// Names: conv1, bn1, layer{1..4}.{0,1}.{conv1, bn1, conv2, bn2, shortcut.0,
// shortcut.1}, linear. A block has a shortcut where its shape changes.
class CifarResnet18 final : public Model {
 public:
  CifarResnet18(int64_t channels, int64_t classes);

  at::Tensor forward(const at::Tensor& images) override;

 private:
  torch::nn::Conv2d conv1_;
  torch::nn::BatchNorm2d bn1_;
  torch::nn::Sequential layer1_;
  torch::nn::Sequential layer2_;
  torch::nn::Sequential layer3_;
  torch::nn::Sequential layer4_;
  torch::nn::Linear linear_;
};

}  // namespace headstart::worker
