#include "worker/models/small_cnn.h"

#include <ATen/ops/max_pool2d.h>

namespace headstart::worker {

SmallCnn::SmallCnn(int64_t channels, int64_t classes)
    : conv1_(register_module("conv1", Conv3x3(channels, 32))),
      bn1_(register_module("bn1", torch::nn::BatchNorm2d(32))),
      conv2_(register_module("conv2", Conv3x3(32, 64))),
      bn2_(register_module("bn2", torch::nn::BatchNorm2d(64))),
      conv3_(register_module("conv3", Conv3x3(64, 128))),
      bn3_(register_module("bn3", torch::nn::BatchNorm2d(128))),
      linear_(register_module("linear", Linear(128, classes))) {}

at::Tensor SmallCnn::forward(const at::Tensor& images) {
  at::Tensor x = ChannelsLast(images);
  x = EndBlock(0, bn1_->forward(conv1_->forward(x)).relu_());
  x = at::max_pool2d(x, {2, 2});
  x = EndBlock(1, bn2_->forward(conv2_->forward(x)).relu_());
  x = at::max_pool2d(x, {2, 2});
  x = bn3_->forward(conv3_->forward(x)).relu_();
  return linear_->forward(GlobalMean(x));
}

}  // namespace headstart::worker
