#include "worker/models/cifar_resnet.h"

#include <ATen/ops/mean.h>
#include <ATen/ops/relu.h>

namespace headstart::worker {
namespace {

using torch::nn::BatchNorm2d;
using torch::nn::Conv2d;
using torch::nn::Conv2dOptions;
using torch::nn::Sequential;

Conv2d Conv3x3(int64_t in, int64_t out, int64_t stride) {
  return Conv2d(
      Conv2dOptions(in, out, 3).stride(stride).padding(1).bias(false));
}

// relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))
class BasicBlock final : public torch::nn::Module {
 public:
  BasicBlock(int64_t in, int64_t out, int64_t stride)
      : conv1_(register_module("conv1", Conv3x3(in, out, stride))),
        bn1_(register_module("bn1", BatchNorm2d(out))),
        conv2_(register_module("conv2", Conv3x3(out, out, 1))),
        bn2_(register_module("bn2", BatchNorm2d(out))),
        shortcut_(nullptr) {
    if (stride == 1 && in == out) return;
    shortcut_ = register_module(
        "shortcut",
        Sequential(Conv2d(Conv2dOptions(in, out, 1).stride(stride).bias(false)),
                   BatchNorm2d(out)));
  }

  at::Tensor forward(const at::Tensor& x) {
    at::Tensor y = at::relu(bn1_->forward(conv1_->forward(x)));
    y = bn2_->forward(conv2_->forward(y));
    y = y + (shortcut_.is_empty() ? x : shortcut_->forward(x));
    return at::relu(y);
  }

 private:
  Conv2d conv1_;
  BatchNorm2d bn1_;
  Conv2d conv2_;
  BatchNorm2d bn2_;
  Sequential shortcut_;
};

Sequential Stage(int64_t in, int64_t out, int64_t stride) {
  return Sequential(BasicBlock(in, out, stride), BasicBlock(out, out, 1));
}

}  // namespace

CifarResnet18::CifarResnet18(int64_t channels, int64_t classes)
    : conv1_(register_module("conv1", Conv3x3(channels, 64, 1))),
      bn1_(register_module("bn1", BatchNorm2d(64))),
      layer1_(register_module("layer1", Stage(64, 64, 1))),
      layer2_(register_module("layer2", Stage(64, 128, 2))),
      layer3_(register_module("layer3", Stage(128, 256, 2))),
      layer4_(register_module("layer4", Stage(256, 512, 2))),
      linear_(register_module("linear", torch::nn::Linear(512, classes))) {}

at::Tensor CifarResnet18::forward(const at::Tensor& images) {
  // Channels last: batch norm and pooling are vectorized across channels only
  // then. Weights keep their own layout.
  at::Tensor x = images.contiguous(at::MemoryFormat::ChannelsLast);
  x = at::relu(bn1_->forward(conv1_->forward(x)));
  x = layer1_->forward(x);
  x = layer2_->forward(x);
  x = layer3_->forward(x);
  x = layer4_->forward(x);
  return linear_->forward(x.mean({2, 3}));
}

}  // namespace headstart::worker
