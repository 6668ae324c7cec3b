#include "worker/models/torchvision_resnet.h"

#include "initializers/blocks.h"
#include "initializers/own_default.h"
#include "worker/models/model.h"

namespace headstart::worker {
namespace {

using torch::nn::BatchNorm2d;
using torch::nn::Sequential;

constexpr char kShortcut[] = "downsample";

class TorchvisionResnet final : public Model,
                                public initializers::BlockedModel,
                                public initializers::OwnDefault {
 public:
  explicit TorchvisionResnet(const TorchvisionResnetOptions& options)
      : small_images_(options.small_images),
        conv1_(register_module("conv1", Stem(options))),
        bn1_(register_module("bn1", BatchNorm2d(64))),
        layer1_(register_module("layer1",
                                ResnetStage(options.layout, 0, kShortcut))),
        layer2_(register_module("layer2",
                                ResnetStage(options.layout, 1, kShortcut))),
        layer3_(register_module("layer3",
                                ResnetStage(options.layout, 2, kShortcut))),
        layer4_(register_module("layer4",
                                ResnetStage(options.layout, 3, kShortcut))),
        fc_(register_module(
            "fc", Linear(options.layout.features(), options.classes))) {}

  at::Tensor forward(const at::Tensor& images) override {
    at::Tensor x = bn1_->forward(conv1_->forward(ChannelsLast(images))).relu_();
    if (!small_images_) x = StemPool(x);
    x = EndBlock(0, x);
    x = EndBlock(1, layer1_->forward(x));
    x = EndBlock(2, layer2_->forward(x));
    x = EndBlock(3, layer3_->forward(x));
    x = layer4_->forward(x);
    return fc_->forward(GlobalMean(x));
  }

  std::vector<std::vector<std::string>> BlockParts() const override {
    return {
        {"conv1", "bn1"}, {"layer1"}, {"layer2"}, {"layer3"}, {"layer4", "fc"}};
  }

  void InitializeOwn(at::Generator& generator) override {
    DrawConvolutionsByFanOut(*this, generator);
  }
  bool DrawsItself(const at::Tensor& weight) const override {
    return weight.dim() == 4;
  }

 private:
  static Conv2d Stem(const TorchvisionResnetOptions& options) {
    if (options.small_images) return Conv3x3(options.channels, 64);
    return StemConv7x7(options.channels);
  }

  const bool small_images_;
  Conv2d conv1_;
  BatchNorm2d bn1_;
  Sequential layer1_;
  Sequential layer2_;
  Sequential layer3_;
  Sequential layer4_;
  Linear fc_;
};

}  // namespace

std::shared_ptr<Model> MakeTorchvisionResnet(
    const TorchvisionResnetOptions& options) {
  return std::make_shared<TorchvisionResnet>(options);
}

}  // namespace headstart::worker
