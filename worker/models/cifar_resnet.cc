#include "worker/models/cifar_resnet.h"

#include "initializers/blocks.h"
#include "worker/models/model.h"

namespace headstart::worker {
namespace {

// Of both kinds below.
std::vector<std::vector<std::string>> Parts() {
  return {{"conv1", "bn1"},
          {"layer1"},
          {"layer2"},
          {"layer3"},
          {"layer4", "linear"}};
}

using torch::nn::BatchNorm2d;
using torch::nn::Sequential;

constexpr char kShortcut[] = "shortcut";

class CifarResnet final : public Model, public initializers::BlockedModel {
 public:
  explicit CifarResnet(const CifarResnetOptions& options)
      : conv1_(register_module("conv1", Conv3x3(options.channels, 64))),
        bn1_(register_module("bn1", BatchNorm2d(64))),
        layer1_(register_module("layer1",
                                ResnetStage(options.layout, 0, kShortcut))),
        layer2_(register_module("layer2",
                                ResnetStage(options.layout, 1, kShortcut))),
        layer3_(register_module("layer3",
                                ResnetStage(options.layout, 2, kShortcut))),
        layer4_(register_module("layer4",
                                ResnetStage(options.layout, 3, kShortcut))),
        linear_(register_module(
            "linear", Linear(options.layout.features(), options.classes))) {}

  at::Tensor forward(const at::Tensor& images) override {
    at::Tensor x = bn1_->forward(conv1_->forward(ChannelsLast(images))).relu_();
    x = EndBlock(0, x);
    x = EndBlock(1, layer1_->forward(x));
    x = EndBlock(2, layer2_->forward(x));
    x = EndBlock(3, layer3_->forward(x));
    x = layer4_->forward(x);
    return linear_->forward(GlobalMean(x));
  }

  std::vector<std::vector<std::string>> BlockParts() const override {
    return Parts();
  }

 private:
  Conv2d conv1_;
  BatchNorm2d bn1_;
  Sequential layer1_;
  Sequential layer2_;
  Sequential layer3_;
  Sequential layer4_;
  Linear linear_;
};

class PreactBlock final : public torch::nn::Module {
 public:
  PreactBlock(int64_t in, int64_t out, int64_t stride)
      : bn1_(register_module("bn1", BatchNorm2d(in))),
        conv1_(register_module("conv1", Conv3x3(in, out, stride))),
        bn2_(register_module("bn2", BatchNorm2d(out))),
        conv2_(register_module("conv2", Conv3x3(out, out))) {
    if (stride == 1 && in == out) return;
    shortcut_ =
        register_module(kShortcut, Sequential(Conv1x1(in, out, stride)));
  }

  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor active = bn1_->forward(x).relu_();
    at::Tensor y = bn2_->forward(conv1_->forward(active)).relu_();
    y = conv2_->forward(y);
    return y.add_(shortcut_.is_empty() ? x : shortcut_->forward(active));
  }

 private:
  BatchNorm2d bn1_;
  Conv2d conv1_;
  BatchNorm2d bn2_;
  Conv2d conv2_;
  Sequential shortcut_{nullptr};
};

Sequential PreactStage(int64_t in, int64_t out, int64_t stride) {
  return Sequential(PreactBlock(in, out, stride), PreactBlock(out, out, 1));
}

class PreactResnet18 final : public Model, public initializers::BlockedModel {
 public:
  explicit PreactResnet18(const PreactResnet18Options& options)
      : conv1_(register_module("conv1", Conv3x3(options.channels, 64))),
        layer1_(register_module("layer1", PreactStage(64, 64, 1))),
        layer2_(register_module("layer2", PreactStage(64, 128, 2))),
        layer3_(register_module("layer3", PreactStage(128, 256, 2))),
        layer4_(register_module("layer4", PreactStage(256, 512, 2))),
        linear_(register_module("linear", Linear(512, options.classes))) {}

  at::Tensor forward(const at::Tensor& images) override {
    at::Tensor x = conv1_->forward(ChannelsLast(images));
    x = EndBlock(0, x);
    x = EndBlock(1, layer1_->forward(x));
    x = EndBlock(2, layer2_->forward(x));
    x = EndBlock(3, layer3_->forward(x));
    x = layer4_->forward(x);
    return linear_->forward(GlobalMean(x));
  }

  std::vector<std::vector<std::string>> BlockParts() const override {
    return Parts();
  }

 private:
  Conv2d conv1_;
  Sequential layer1_;
  Sequential layer2_;
  Sequential layer3_;
  Sequential layer4_;
  Linear linear_;
};

}  // namespace

std::shared_ptr<Model> MakeCifarResnet(const CifarResnetOptions& options) {
  return std::make_shared<CifarResnet>(options);
}

std::shared_ptr<Model> MakePreactResnet18(
    const PreactResnet18Options& options) {
  return std::make_shared<PreactResnet18>(options);
}

}  // namespace headstart::worker
