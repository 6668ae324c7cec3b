#include "worker/models/densenet_bc.h"

#include <string>

#include <torch/nn/modules/container/sequential.h>

#include "initializers/blocks.h"
#include "initializers/own_default.h"
#include "worker/models/dense_block.h"
#include "worker/models/model.h"

namespace headstart::worker {
namespace {

using torch::nn::BatchNorm2d;
using torch::nn::Sequential;

constexpr int64_t kStemOut = 24;
constexpr int64_t kGrowth = 12;  // Channels that each dense layer adds.
constexpr int64_t kBlocks = 3;
constexpr int64_t kBlockLayers = 16;

class DensenetBc final : public Model,
                         public initializers::BlockedModel,
                         public initializers::OwnDefault {
 public:
  explicit DensenetBc(const DensenetBcOptions& options) {
    const bool norms = options.norm == Norm::kBatchNorm;
    features_->push_back("conv0", Conv3x3(options.channels, kStemOut, 1,
                                          /*bias=*/!norms));
    int64_t width = kStemOut;
    for (int64_t i = 1; i <= kBlocks; ++i) {
      features_->push_back(
          "denseblock" + std::to_string(i),
          DenseBlock(width, kBlockLayers, kGrowth, options.norm));
      width += kBlockLayers * kGrowth;
      if (i == kBlocks) break;
      features_->push_back("transition" + std::to_string(i),
                           DenseTransition(width, options.norm));
      width /= 2;
    }
    if (norms) features_->push_back("norm_final", BatchNorm2d(width));
    register_module("features", features_);
    classifier_ = register_module("classifier", Linear(width, options.classes));
  }

  at::Tensor forward(const at::Tensor& images) override {
    const at::Tensor x = features_->forward(ChannelsLast(images));
    return classifier_->forward(GlobalMean(x.relu()));
  }

  std::vector<std::vector<std::string>> BlockParts() const override {
    return {{"features.conv0"},
            {"features.denseblock1", "features.transition1"},
            {"features.denseblock2", "features.transition2"},
            {"features.denseblock3", "features.norm_final", "classifier"}};
  }

  void InitializeOwn(at::Generator& generator) override {
    DrawConvolutionsByFanOut(*this, generator);
    classifier_->bias.zero_();
  }
  bool DrawsItself(const at::Tensor& weight) const override {
    return weight.dim() == 4;
  }

 private:
  Sequential features_;
  Linear classifier_{nullptr};
};

}  // namespace

std::shared_ptr<Model> MakeDensenetBc100x12(const DensenetBcOptions& options) {
  return std::make_shared<DensenetBc>(options);
}

}  // namespace headstart::worker
