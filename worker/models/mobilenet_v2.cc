#include "worker/models/mobilenet_v2.h"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/dropout.h>

#include "initializers/blocks.h"
#include "initializers/own_default.h"
#include "worker/models/chain.h"
#include "worker/models/layers.h"
#include "worker/models/model.h"

namespace headstart::worker {
namespace {

using torch::nn::BatchNorm2d;
using torch::nn::Conv2dOptions;

constexpr int64_t kStemOut = 32;
constexpr int64_t kLastOut = 1280;
// With small images, the stem and the inverted residuals before this one.
constexpr int64_t kGroupsWithoutStride = 5;

// Blocks of one width: the first has the stride.
struct Stage {
  int64_t expansion;
  int64_t out;
  int64_t blocks;
  int64_t stride;
};
constexpr Stage kStages[] = {
    {1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2},  {6, 64, 4, 2},
    {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1},
};

// Convolution, batch norm, ReLU6.
Chain ConvNormRelu(Conv2dOptions options) {
  const int64_t out = options.out_channels();
  return Chain(Conv2d(options.bias(false)), BatchNorm2d(out),
               torch::nn::ReLU6(torch::nn::ReLU6Options().inplace(true)));
}

// Widen with 1x1, filter each channel with 3x3, narrow with 1x1 and no
// activation; plus the input where its shape stays.
class InvertedResidual final : public torch::nn::Module {
 public:
  InvertedResidual(int64_t in, int64_t out, int64_t expansion, int64_t stride)
      : adds_input_(stride == 1 && in == out) {
    const int64_t wide = in * expansion;
    if (expansion != 1) {
      conv_->push_back(ConvNormRelu(Conv2dOptions(in, wide, 1)));
    }
    conv_->push_back(ConvNormRelu(
        Conv2dOptions(wide, wide, 3).stride(stride).padding(1).groups(wide)));
    conv_->push_back(Conv1x1(wide, out));
    conv_->push_back(BatchNorm2d(out));
    register_module("conv", conv_);
  }

  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor y = conv_->forward(x);
    return adds_input_ ? x + y : y;
  }

 private:
  const bool adds_input_;
  Chain conv_;
};

class MobilenetV2 final : public Model,
                          public initializers::BlockedModel,
                          public initializers::OwnDefault {
 public:
  explicit MobilenetV2(const MobilenetV2Options& options);

  at::Tensor forward(const at::Tensor& images) override;

  // One per size of the maps.
  std::vector<std::vector<std::string>> BlockParts() const override {
    return {{"features.0", "features.1"},
            {"features.2", "features.3"},
            {"features.4", "features.5", "features.6"},
            {"features.7", "features.8", "features.9", "features.10",
             "features.11", "features.12", "features.13"},
            {"features.14", "features.15", "features.16", "features.17",
             "features.18", "classifier"}};
  }
  // Convolutions: Kaiming normal, fan-out. The classifier: normal with
  // deviation 0.01, bias 0.
  void InitializeOwn(at::Generator& generator) override;
  bool DrawsItself(const at::Tensor& weight) const override {
    return weight.dim() >= 2;
  }

 private:
  Chain features_;
  Chain classifier_;
};

MobilenetV2::MobilenetV2(const MobilenetV2Options& options) {
  const auto stride = [&](int64_t group, int64_t usual) -> int64_t {
    return options.small_images && group < kGroupsWithoutStride ? 1 : usual;
  };
  features_->push_back(ConvNormRelu(Conv2dOptions(options.channels, kStemOut, 3)
                                        .stride(stride(/*group=*/0, 2))
                                        .padding(1)));
  int64_t width = kStemOut;
  int64_t group = 1;
  for (const Stage& stage : kStages) {
    for (int64_t block = 0; block < stage.blocks; ++block, ++group) {
      features_->push_back(std::make_shared<InvertedResidual>(
          width, stage.out, stage.expansion,
          stride(group, block == 0 ? stage.stride : 1)));
      width = stage.out;
    }
  }
  features_->push_back(ConvNormRelu(Conv2dOptions(width, kLastOut, 1)));
  register_module("features", features_);
  classifier_->push_back(torch::nn::Dropout(options.dropout));
  classifier_->push_back(Linear(kLastOut, options.classes));
  register_module("classifier", classifier_);
}

at::Tensor MobilenetV2::forward(const at::Tensor& images) {
  at::Tensor x = ChannelsLast(images);
  int64_t layer = 0, block = 0;
  for (torch::nn::AnyModule& each : *features_) {
    x = each.forward(x);
    // As BlockParts has it.
    if (layer == 1 || layer == 3 || layer == 6 || layer == 13) {
      x = EndBlock(block++, x);
    }
    ++layer;
  }
  return classifier_->forward(GlobalMean(x));
}

void MobilenetV2::InitializeOwn(at::Generator& generator) {
  DrawConvolutionsByFanOut(*this, generator);
  const auto linear = classifier_->ptr<LinearImpl>(1);
  linear->weight.normal_(0, 0.01, generator);
  linear->bias.zero_();
}

}  // namespace

std::shared_ptr<Model> MakeMobilenetV2(const MobilenetV2Options& options) {
  return std::make_shared<MobilenetV2>(options);
}

}  // namespace headstart::worker
