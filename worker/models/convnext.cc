#include "worker/models/convnext.h"

#include <ATen/ops/empty.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/functional.h>
#include <torch/nn/modules/normalization.h>

#include "initializers/blocks.h"
#include "initializers/classic/truncated_normal.h"
#include "initializers/own_default.h"
#include "worker/models/chain.h"
#include "worker/models/layers.h"
#include "worker/models/model.h"
#include "worker/models/stochastic_depth.h"

namespace headstart::worker {
namespace {

using torch::nn::Conv2dOptions;

constexpr double kEpsilon = 1e-6;
constexpr double kFirstLayerScale = 1e-6;
constexpr double kWeightDeviation = 0.02;

struct Shape {
  int64_t widths[4];
  int64_t depths[4];
};
constexpr Shape kTiny = {{96, 192, 384, 768}, {3, 3, 9, 3}};
constexpr Shape kBase = {{128, 256, 512, 1024}, {3, 3, 27, 3}};

at::Tensor ChannelsToEnd(const at::Tensor& x) {
  return x.permute({0, 2, 3, 1});
}

at::Tensor ChannelsToFront(const at::Tensor& x) {
  return x.permute({0, 3, 1, 2});
}

torch::nn::LayerNormOptions NormOptions(int64_t width) {
  return torch::nn::LayerNormOptions({width}).eps(kEpsilon);
}

// Layer norm over the channels of [batch, channels, height, width].
class ChannelNorm final : public torch::nn::LayerNormImpl {
 public:
  explicit ChannelNorm(int64_t width) : LayerNormImpl(NormOptions(width)) {}

  at::Tensor forward(const at::Tensor& x) {
    return ChannelsToFront(LayerNormImpl::forward(ChannelsToEnd(x)));
  }
};

// x + layer_scale * block(x): a depthwise 7x7 convolution, then two linear
// layers over the channels of each position.
class Block final : public torch::nn::Module, public initializers::OwnDefault {
 public:
  Block(int64_t width, double drop)
      : drop_(drop),
        layer_scale_(
            register_parameter("layer_scale", at::empty({width, 1, 1}))),
        block_(register_module(
            "block",
            Chain(
                Conv2d(Conv2dOptions(width, width, 7).padding(3).groups(width)),
                torch::nn::Functional(ChannelsToEnd),
                torch::nn::LayerNorm(NormOptions(width)),
                Linear(width, 4 * width), torch::nn::GELU(),
                Linear(4 * width, width),
                torch::nn::Functional(ChannelsToFront)))) {}

  at::Tensor forward(const at::Tensor& x) {
    return x + StochasticDepth(layer_scale_ * block_->forward(x), drop_,
                               is_training());
  }

  void InitializeOwn(at::Generator&) override {
    layer_scale_.fill_(kFirstLayerScale);
  }

 private:
  const double drop_;
  at::Tensor layer_scale_;
  Chain block_;
};

class Convnext final : public Model,
                       public initializers::BlockedModel,
                       public initializers::OwnDefault {
 public:
  Convnext(const Shape& shape, const ConvnextOptions& options);

  at::Tensor forward(const at::Tensor& images) override;
  std::vector<std::vector<std::string>> BlockParts() const override {
    return {{"features.0"},
            {"features.1"},
            {"features.2", "features.3"},
            {"features.4", "features.5"},
            {"features.6", "features.7", "classifier"}};
  }
  // Weights of all layers but the norms: truncated normal; their biases 0.
  void InitializeOwn(at::Generator& generator) override;
  bool DrawsItself(const at::Tensor& weight) const override {
    return weight.dim() >= 2;
  }

 private:
  Chain features_;
  Chain classifier_;
};

Convnext::Convnext(const Shape& shape, const ConvnextOptions& options) {
  features_->push_back(
      Chain(Conv2d(Conv2dOptions(options.channels, shape.widths[0], 4)
                       .stride(options.small_images ? 1 : 4)),
            std::make_shared<ChannelNorm>(shape.widths[0])));
  int64_t blocks = 0;
  for (const int64_t depth : shape.depths) blocks += depth;
  int64_t block = 0;
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t width = shape.widths[stage];
    if (stage > 0) {
      const int64_t before = shape.widths[stage - 1];
      features_->push_back(
          Chain(std::make_shared<ChannelNorm>(before),
                Conv2d(Conv2dOptions(before, width, 2).stride(2))));
    }
    Chain layers;
    for (int64_t i = 0; i < shape.depths[stage]; ++i, ++block) {
      layers->push_back(std::make_shared<Block>(
          width, DropOfBlock(options.stochastic_depth, block, blocks)));
    }
    features_->push_back(layers);
  }
  register_module("features", features_);
  const int64_t width = shape.widths[3];
  classifier_->push_back(std::make_shared<ChannelNorm>(width));
  classifier_->push_back(
      torch::nn::Functional([](const at::Tensor& x) { return x.flatten(1); }));
  classifier_->push_back(Linear(width, options.classes));
  register_module("classifier", classifier_);
}

at::Tensor Convnext::forward(const at::Tensor& images) {
  // Channels last: then moving the channels to the end copies nothing.
  const at::Tensor x = features_->forward(ChannelsLast(images));
  return classifier_->forward(x.mean({2, 3}, /*keepdim=*/true));
}

void Convnext::InitializeOwn(at::Generator& generator) {
  const auto fill = [&](const at::Tensor& weight, const at::Tensor& bias) {
    initializers::FillTruncatedNormal(weight, {.deviation = kWeightDeviation},
                                      generator);
    bias.zero_();
  };
  for (const auto& module : modules()) {
    if (const auto* conv = module->as<Conv2d>()) {
      fill(conv->weight, conv->bias);
    } else if (const auto* linear = module->as<Linear>()) {
      fill(linear->weight, linear->bias);
    }
  }
}

}  // namespace

std::shared_ptr<Model> MakeConvnext(const ConvnextOptions& options) {
  return std::make_shared<Convnext>(
      options.size == ConvnextSize::kTiny ? kTiny : kBase, options);
}

}  // namespace headstart::worker
