#include "worker/models/wide_resnet.h"

#include <ATen/ops/dropout.h>
#include <torch/nn/modules/container/sequential.h>

#include "initializers/blocks.h"
#include "worker/models/model.h"

namespace headstart::worker {
namespace {

using torch::nn::BatchNorm2d;
using torch::nn::BatchNormOptions;
using torch::nn::Sequential;

constexpr int64_t kBlocksPerStage = 4;

// conv2(relu(bn2(dropout(conv1(relu(bn1(x))))))) + shortcut(x)
class WideBlock final : public torch::nn::Module {
 public:
  WideBlock(const WideResnetOptions& options, int64_t in, int64_t out,
            int64_t stride)
      : dropout_(options.dropout) {
    if (options.norm == Norm::kBatchNorm) {
      bn1_ = register_module("bn1", BatchNorm2d(in));
      bn2_ = register_module("bn2", BatchNorm2d(out));
    }
    const bool bias = options.conv_bias;
    conv1_ = register_module("conv1", Conv3x3(in, out, 1, bias));
    conv2_ = register_module("conv2", Conv3x3(out, out, stride, bias));
    if (stride == 1 && in == out) return;
    shortcut_ =
        register_module("shortcut", Sequential(Conv1x1(in, out, stride, bias)));
  }

  at::Tensor forward(const at::Tensor& x) {
    at::Tensor y = conv1_->forward(NormalizedRelu(bn1_, x));
    y = at::dropout(y, dropout_, is_training());
    y = conv2_->forward(NormalizedRelu(bn2_, y));
    return y.add_(shortcut_.is_empty() ? x : shortcut_->forward(x));
  }

 private:
  const double dropout_;
  BatchNorm2d bn1_{nullptr};
  BatchNorm2d bn2_{nullptr};
  Conv2d conv1_{nullptr};
  Conv2d conv2_{nullptr};
  Sequential shortcut_{nullptr};
};

Sequential Stage(const WideResnetOptions& options, int64_t in, int64_t out,
                 int64_t stride) {
  Sequential blocks(WideBlock(options, in, out, stride));
  for (int64_t i = 1; i < kBlocksPerStage; ++i) {
    blocks->push_back(WideBlock(options, out, out, 1));
  }
  return blocks;
}

class WideResnet final : public Model, public initializers::BlockedModel {
 public:
  explicit WideResnet(const WideResnetOptions& options)
      : conv1_(register_module(
            "conv1", Conv3x3(options.channels, 16, 1, options.conv_bias))),
        layer1_(register_module("layer1", Stage(options, 16, 160, 1))),
        layer2_(register_module("layer2", Stage(options, 160, 320, 2))),
        layer3_(register_module("layer3", Stage(options, 320, 640, 2))) {
    if (options.norm == Norm::kBatchNorm) {
      bn1_ = register_module("bn1",
                             BatchNorm2d(BatchNormOptions(640).momentum(0.9)));
    }
    linear_ = register_module("linear", Linear(640, options.classes));
  }

  at::Tensor forward(const at::Tensor& images) override {
    at::Tensor x = conv1_->forward(ChannelsLast(images));
    x = EndBlock(0, x);
    x = EndBlock(1, layer1_->forward(x));
    x = EndBlock(2, layer2_->forward(x));
    x = layer3_->forward(x);
    return linear_->forward(GlobalMean(NormalizedRelu(bn1_, x)));
  }

  std::vector<std::vector<std::string>> BlockParts() const override {
    return {{"conv1"}, {"layer1"}, {"layer2"}, {"layer3", "bn1", "linear"}};
  }

 private:
  Conv2d conv1_;
  Sequential layer1_;
  Sequential layer2_;
  Sequential layer3_;
  BatchNorm2d bn1_{nullptr};
  Linear linear_{nullptr};
};

}  // namespace

std::shared_ptr<Model> MakeWideResnet28x10(const WideResnetOptions& options) {
  return std::make_shared<WideResnet>(options);
}

}  // namespace headstart::worker
