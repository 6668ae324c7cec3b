#include "worker/models/resnet110.h"

#include <torch/nn/modules/container/functional.h>

#include "initializers/blocks.h"
#include "initializers/own_default.h"
#include "worker/models/model.h"
#include "worker/models/residual_blocks.h"

namespace headstart::worker {
namespace {

using torch::nn::BatchNorm2d;
using torch::nn::Functional;
using torch::nn::Sequential;

constexpr char kShortcut[] = "downsample";
constexpr int64_t kBlocksPerStage = 18;

Shortcut MakeShortcut(const Resnet110Options& options, int64_t in, int64_t out,
                      int64_t stride) {
  if (stride == 1) return {.name = kShortcut};
  if (options.shortcut == Resnet110Shortcut::kProjection) {
    return ProjectionWhereNeeded(kShortcut, in, out, stride, options.norm);
  }
  Sequential layers;
  layers->push_back(Functional(Subsampled));
  if (options.shortcut == Resnet110Shortcut::kAveragePoolNorm &&
      options.norm == Norm::kBatchNorm) {
    layers->push_back(BatchNorm2d(in));
  }
  layers->push_back(Functional(WithZeroChannels));
  return {.name = kShortcut, .layers = layers};
}

Sequential Stage(const Resnet110Options& options, int64_t in, int64_t out) {
  Sequential blocks;
  for (int64_t i = 0; i < kBlocksPerStage; ++i) {
    const int64_t stride = in == out ? 1 : 2;
    blocks->push_back(BasicBlock(
        in, out, stride, MakeShortcut(options, in, out, stride), options.norm));
    in = out;
  }
  return blocks;
}

class Resnet110 final : public Model,
                        public initializers::BlockedModel,
                        public initializers::OwnDefault {
 public:
  explicit Resnet110(const Resnet110Options& options)
      : conv1_(register_module("conv1",
                               Conv3x3(options.channels, 16, /*stride=*/1,
                                       /*bias=*/options.norm == Norm::kNone))) {
    if (options.norm == Norm::kBatchNorm) {
      bn1_ = register_module("bn1", BatchNorm2d(16));
    }
    layer1_ = register_module("layer1", Stage(options, 16, 16));
    layer2_ = register_module("layer2", Stage(options, 16, 32));
    layer3_ = register_module("layer3", Stage(options, 32, 64));
    fc_ = register_module("fc", Linear(64, options.classes));
  }

  at::Tensor forward(const at::Tensor& images) override {
    at::Tensor x = NormalizedRelu(bn1_, conv1_->forward(ChannelsLast(images)));
    x = EndBlock(0, x);
    x = EndBlock(1, layer1_->forward(x));
    x = EndBlock(2, layer2_->forward(x));
    x = layer3_->forward(x);
    return fc_->forward(GlobalMean(x));
  }

  std::vector<std::vector<std::string>> BlockParts() const override {
    return {{"conv1", "bn1"}, {"layer1"}, {"layer2"}, {"layer3", "fc"}};
  }

  void InitializeOwn(at::Generator& generator) override {
    DrawConvolutionsByFanOut(*this, generator);
    fc_->bias.zero_();
  }
  bool DrawsItself(const at::Tensor& weight) const override {
    return weight.dim() == 4;
  }

 private:
  Conv2d conv1_;
  BatchNorm2d bn1_{nullptr};
  Sequential layer1_{nullptr};
  Sequential layer2_{nullptr};
  Sequential layer3_{nullptr};
  Linear fc_{nullptr};
};

}  // namespace

std::shared_ptr<Model> MakeResnet110(const Resnet110Options& options) {
  return std::make_shared<Resnet110>(options);
}

}  // namespace headstart::worker
