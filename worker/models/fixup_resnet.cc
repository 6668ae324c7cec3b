#include "worker/models/fixup_resnet.h"

#include <cmath>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

#include <ATen/ops/zeros.h>
#include <torch/nn/modules/container/sequential.h>

#include "initializers/blocks.h"
#include "initializers/own_default.h"
#include "worker/models/model.h"
#include "worker/models/residual_blocks.h"

namespace headstart::worker {
namespace {

using initializers::OwnDefault;
using torch::nn::Sequential;

// Two or three convolutions, each between the scalars bias<i>a and bias<i>b,
// with relu between; then times `scale`, plus the shortcut, relu. A shortcut
// that changes the shape sees the input plus bias1a, any other the input.
class FixupBlock final : public torch::nn::Module, public OwnDefault {
 public:
  // `pads` when the shortcut halves the size and appends channels of 0;
  // `projection`, which may be empty, is the shortcut's convolution.
  FixupBlock(const std::vector<Conv2d>& convs, bool pads,
             const Conv2d& projection, double branch_factor)
      : convs_(convs),
        pads_(pads),
        projection_(projection),
        branch_factor_(branch_factor) {
    for (size_t i = 0; i < convs_.size(); ++i) {
      const std::string number = std::to_string(i + 1);
      before_.push_back(Scalar("bias" + number + "a"));
      register_module("conv" + number, convs_[i]);
      if (i + 1 == convs_.size()) scale_ = Scalar("scale");
      behind_.push_back(Scalar("bias" + number + "b"));
    }
    if (!projection_.is_empty()) register_module("downsample", projection_);
  }

  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor biased = x + before_[0];
    at::Tensor y = convs_[0]->forward(biased);
    for (size_t i = 1; i < convs_.size(); ++i) {
      y = (y + behind_[i - 1]).relu_();
      y = convs_[i]->forward(y + before_[i]);
    }
    y = y * scale_ + behind_.back();
    return y.add_(ShortcutOf(x, biased)).relu_();
  }

  void InitializeOwn(at::Generator& generator) override {
    DrawConvolutionsByFanOut(*this, generator);
    for (Conv2d& conv : convs_) conv->weight.mul_(branch_factor_);
    convs_.back()->weight.zero_();
    for (at::Tensor& bias : before_) bias.zero_();
    for (at::Tensor& bias : behind_) bias.zero_();
    scale_.fill_(1);
  }
  bool DrawsItself(const at::Tensor& weight) const override {
    return weight.dim() == 4;
  }

 private:
  at::Tensor Scalar(const std::string& name) {
    return register_parameter(name, at::zeros({1}));
  }

  at::Tensor ShortcutOf(const at::Tensor& x, const at::Tensor& biased) {
    if (pads_) return WithZeroChannels(Subsampled(biased));
    return projection_.is_empty() ? x : projection_->forward(biased);
  }

  std::vector<Conv2d> convs_;
  const bool pads_;
  Conv2d projection_;
  const double branch_factor_;
  std::vector<at::Tensor> before_;
  std::vector<at::Tensor> behind_;
  at::Tensor scale_;
};

int64_t BlocksIn(const FixupLayout& layout) {
  return std::accumulate(std::begin(layout.blocks), std::end(layout.blocks),
                         int64_t{0});
}

Sequential Stage(const FixupLayout& layout, int stage) {
  const int64_t first = layout.cifar ? 16 : 64;
  const int64_t planes = first << stage;
  const int64_t out = layout.bottlenecks ? 4 * planes : planes;
  int64_t in = stage == 0 ? first : out / 2;
  const double factor =
      std::pow(BlocksIn(layout), layout.bottlenecks ? -1 / 4. : -1 / 2.);
  Sequential blocks;
  for (int64_t i = 0; i < layout.blocks[stage]; ++i) {
    const int64_t stride = stage > 0 && i == 0 ? 2 : 1;
    const bool changes = stride != 1 || in != out;
    const std::vector<Conv2d> convs =
        layout.bottlenecks
            ? std::vector{Conv1x1(in, planes), Conv3x3(planes, planes, stride),
                          Conv1x1(planes, out)}
            : std::vector{Conv3x3(in, out, stride), Conv3x3(out, out)};
    blocks->push_back(FixupBlock(
        convs, /*pads=*/changes && layout.cifar,
        changes && !layout.cifar ? Conv1x1(in, out, stride) : Conv2d(nullptr),
        factor));
    in = out;
  }
  return blocks;
}

class FixupResnet final : public Model,
                          public initializers::BlockedModel,
                          public OwnDefault {
 public:
  explicit FixupResnet(const FixupResnetOptions& options)
      : pools_(!options.layout.cifar),
        conv1_(register_module("conv1", Stem(options))),
        bias1_(register_parameter("bias1", at::zeros({1}))) {
    const FixupLayout& layout = options.layout;
    const int stages = layout.blocks[3] == 0 ? 3 : 4;
    for (int stage = 0; stage < stages; ++stage) {
      layers_.push_back(register_module("layer" + std::to_string(stage + 1),
                                        Stage(layout, stage)));
    }
    bias2_ = register_parameter("bias2", at::zeros({1}));
    const int64_t features =
        layout.cifar ? 64 : 512 * (layout.bottlenecks ? 4 : 1);
    fc_ = register_module("fc", Linear(features, options.classes));
  }

  at::Tensor forward(const at::Tensor& images) override {
    at::Tensor x = (conv1_->forward(ChannelsLast(images)) + bias1_).relu_();
    if (pools_) x = StemPool(x);
    for (size_t i = 0; i < layers_.size(); ++i) {
      x = layers_[i]->forward(EndBlock(i, x));
    }
    return fc_->forward(GlobalMean(x) + bias2_);
  }

  std::vector<std::vector<std::string>> BlockParts() const override {
    std::vector<std::vector<std::string>> parts = {{"conv1", "bias1"}};
    for (size_t i = 1; i <= layers_.size(); ++i) {
      parts.push_back({"layer" + std::to_string(i)});
    }
    parts.back().insert(parts.back().end(), {"bias2", "fc"});
    return parts;
  }

  // The stem keeps its layer's default.
  void InitializeOwn(at::Generator&) override {
    bias1_.zero_();
    bias2_.zero_();
    fc_->weight.zero_();
    fc_->bias.zero_();
  }

 private:
  static Conv2d Stem(const FixupResnetOptions& options) {
    if (options.layout.cifar) return Conv3x3(options.channels, 16);
    return StemConv7x7(options.channels);
  }

  const bool pools_;
  Conv2d conv1_;
  at::Tensor bias1_;
  std::vector<Sequential> layers_;
  at::Tensor bias2_;
  Linear fc_{nullptr};
};

}  // namespace

std::shared_ptr<Model> MakeFixupResnet(const FixupResnetOptions& options) {
  return std::make_shared<FixupResnet>(options);
}

}  // namespace headstart::worker
