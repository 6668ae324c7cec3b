#include "worker/models/small_cnn.h"

#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/relu.h>

namespace headstart::worker {
namespace {

torch::nn::Conv2d Conv3x3(int64_t in, int64_t out) {
  return torch::nn::Conv2d(
      torch::nn::Conv2dOptions(in, out, 3).padding(1).bias(false));
}

}  // namespace

SmallCnn::SmallCnn(int64_t channels, int64_t classes)
    : conv1_(register_module("conv1", Conv3x3(channels, 32))),
      bn1_(register_module("bn1", torch::nn::BatchNorm2d(32))),
      conv2_(register_module("conv2", Conv3x3(32, 64))),
      bn2_(register_module("bn2", torch::nn::BatchNorm2d(64))),
      conv3_(register_module("conv3", Conv3x3(64, 128))),
      bn3_(register_module("bn3", torch::nn::BatchNorm2d(128))),
      linear_(register_module("linear", torch::nn::Linear(128, classes))) {}

at::Tensor SmallCnn::forward(const at::Tensor& images) {
  // Channels last: batch norm and pooling are vectorized across channels only
  // then. Weights keep their own layout.
  at::Tensor x = images.contiguous(at::MemoryFormat::ChannelsLast);
  x = at::relu(bn1_->forward(conv1_->forward(x)));
  x = at::max_pool2d(x, {2, 2});
  x = at::relu(bn2_->forward(conv2_->forward(x)));
  x = at::max_pool2d(x, {2, 2});
  x = at::relu(bn3_->forward(conv3_->forward(x)));
  return linear_->forward(x.mean({2, 3}));
}

}  // namespace headstart::worker
