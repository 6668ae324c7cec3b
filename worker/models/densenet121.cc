#include "worker/models/densenet121.h"

#include <cmath>
#include <iterator>
#include <string>

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/functional.h>
#include <torch/nn/modules/container/sequential.h>

#include "initializers/blocks.h"
#include "initializers/classic/fan.h"
#include "initializers/own_default.h"
#include "worker/models/dense_block.h"
#include "worker/models/model.h"
#include "worker/models/residual_blocks.h"

namespace headstart::worker {
namespace {

using torch::nn::BatchNorm2d;
using torch::nn::Functional;

constexpr int64_t kStemOut = 64;
constexpr int64_t kGrowth = 32;  // Channels that each dense layer adds.
constexpr int64_t kBlockLayers[] = {6, 12, 24, 16};

at::Tensor Relu(const at::Tensor& x) { return x.relu(); }

class Densenet121 final : public Model,
                          public initializers::BlockedModel,
                          public initializers::OwnDefault {
 public:
  explicit Densenet121(const Densenet121Options& options);

  at::Tensor forward(const at::Tensor& images) override;
  std::vector<std::vector<std::string>> BlockParts() const override {
    return {{"features.conv0", "features.norm0"},
            {"features.denseblock1", "features.transition1"},
            {"features.denseblock2", "features.transition2"},
            {"features.denseblock3", "features.transition3"},
            {"features.denseblock4", "features.norm5", "classifier"}};
  }
  // Convolutions: Kaiming normal, fan-in. The classifier's bias: 0.
  void InitializeOwn(at::Generator& generator) override;
  bool DrawsItself(const at::Tensor& weight) const override {
    return weight.dim() == 4;
  }

 private:
  torch::nn::Sequential features_;
  Linear classifier_{nullptr};
};

Densenet121::Densenet121(const Densenet121Options& options) {
  features_->push_back("conv0", options.small_images
                                    ? Conv3x3(options.channels, kStemOut)
                                    : StemConv7x7(options.channels));
  features_->push_back("norm0", BatchNorm2d(kStemOut));
  features_->push_back("relu0", Functional(Relu));
  if (!options.small_images) {
    features_->push_back("pool0", Functional(StemPool));
  }
  int64_t width = kStemOut;
  for (size_t i = 0; i < std::size(kBlockLayers); ++i) {
    const std::string number = std::to_string(i + 1);
    features_->push_back(
        "denseblock" + number,
        DenseBlock(width, kBlockLayers[i], kGrowth, Norm::kBatchNorm));
    width += kBlockLayers[i] * kGrowth;
    if (i + 1 == std::size(kBlockLayers)) break;
    features_->push_back("transition" + number,
                         DenseTransition(width, Norm::kBatchNorm));
    width /= 2;
  }
  features_->push_back("norm5", BatchNorm2d(width));
  register_module("features", features_);
  classifier_ = register_module("classifier", Linear(width, options.classes));
}

at::Tensor Densenet121::forward(const at::Tensor& images) {
  const at::Tensor x = features_->forward(ChannelsLast(images));
  return classifier_->forward(GlobalMean(x.relu()));
}

void Densenet121::InitializeOwn(at::Generator& generator) {
  for (const auto& module : modules()) {
    if (const auto* conv = module->as<Conv2d>()) {
      const double fan_in = initializers::FanOf(conv->weight).in;
      conv->weight.normal_(0, std::sqrt(2 / fan_in), generator);
    }
  }
  classifier_->bias.zero_();
}

}  // namespace

std::shared_ptr<Model> MakeDensenet121(const Densenet121Options& options) {
  return std::make_shared<Densenet121>(options);
}

}  // namespace headstart::worker
