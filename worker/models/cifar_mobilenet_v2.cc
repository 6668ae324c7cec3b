#include "worker/models/cifar_mobilenet_v2.h"

#include <torch/nn/modules/batchnorm.h>

#include "initializers/blocks.h"
#include "worker/models/chain.h"
#include "worker/models/layers.h"
#include "worker/models/model.h"

namespace headstart::worker {
namespace {

using torch::nn::BatchNorm2d;
using torch::nn::Conv2dOptions;

constexpr int64_t kStemOut = 32;
constexpr int64_t kLastOut = 1280;

// Blocks of one width: the first has the stride.
struct Stage {
  int64_t expansion;
  int64_t out;
  int64_t blocks;
  int64_t stride;
};
constexpr Stage kStages[] = {
    {1, 16, 1, 1}, {6, 24, 2, 1},  {6, 32, 3, 2},  {6, 64, 4, 2},
    {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1},
};

// Widen with 1x1, filter each channel with 3x3, narrow with 1x1; plus the
// shortcut where the size stays.
class Block final : public torch::nn::Module {
 public:
  Block(int64_t in, int64_t out, int64_t expansion, int64_t stride)
      : conv1_(register_module("conv1", Conv1x1(in, in * expansion))),
        bn1_(register_module("bn1", BatchNorm2d(in * expansion))),
        conv2_(register_module(
            "conv2", Conv2d(Conv2dOptions(in * expansion, in * expansion, 3)
                                .stride(stride)
                                .padding(1)
                                .groups(in * expansion)
                                .bias(false)))),
        bn2_(register_module("bn2", BatchNorm2d(in * expansion))),
        conv3_(register_module("conv3", Conv1x1(in * expansion, out))),
        bn3_(register_module("bn3", BatchNorm2d(out))),
        has_shortcut_(stride == 1) {
    if (has_shortcut_ && in != out) {
      shortcut_ = register_module("shortcut",
                                  Chain(Conv1x1(in, out), BatchNorm2d(out)));
    }
  }

  at::Tensor forward(const at::Tensor& x) {
    at::Tensor y = bn1_->forward(conv1_->forward(x)).relu_();
    y = bn2_->forward(conv2_->forward(y)).relu_();
    y = bn3_->forward(conv3_->forward(y));
    if (!has_shortcut_) return y;
    return y + (shortcut_.is_empty() ? x : shortcut_->forward(x));
  }

 private:
  Conv2d conv1_;
  BatchNorm2d bn1_;
  Conv2d conv2_;
  BatchNorm2d bn2_;
  Conv2d conv3_;
  BatchNorm2d bn3_;
  const bool has_shortcut_;
  Chain shortcut_{nullptr};
};

class CifarMobilenetV2 final : public Model, public initializers::BlockedModel {
 public:
  explicit CifarMobilenetV2(const CifarMobilenetV2Options& options);

  at::Tensor forward(const at::Tensor& images) override;

  // Those of the layout for large images.
  std::vector<std::vector<std::string>> BlockParts() const override {
    return {{"conv1", "bn1", "layers.0"},
            {"layers.1", "layers.2"},
            {"layers.3", "layers.4", "layers.5"},
            {"layers.6", "layers.7", "layers.8", "layers.9", "layers.10",
             "layers.11", "layers.12"},
            {"layers.13", "layers.14", "layers.15", "layers.16", "conv2", "bn2",
             "linear"}};
  }

 private:
  Conv2d conv1_;
  BatchNorm2d bn1_;
  Chain layers_;
  Conv2d conv2_;
  BatchNorm2d bn2_;
  Linear linear_;
};

Chain Layers() {
  Chain layers;
  int64_t width = kStemOut;
  for (const Stage& stage : kStages) {
    for (int64_t block = 0; block < stage.blocks; ++block) {
      layers->push_back(std::make_shared<Block>(
          width, stage.out, stage.expansion, block == 0 ? stage.stride : 1));
      width = stage.out;
    }
  }
  return layers;
}

CifarMobilenetV2::CifarMobilenetV2(const CifarMobilenetV2Options& options)
    : conv1_(register_module("conv1", Conv3x3(options.channels, kStemOut))),
      bn1_(register_module("bn1", BatchNorm2d(kStemOut))),
      layers_(register_module("layers", Layers())),
      conv2_(register_module("conv2",
                             Conv1x1(std::rbegin(kStages)->out, kLastOut))),
      bn2_(register_module("bn2", BatchNorm2d(kLastOut))),
      linear_(register_module("linear", Linear(kLastOut, options.classes))) {}

at::Tensor CifarMobilenetV2::forward(const at::Tensor& images) {
  at::Tensor x = ChannelsLast(images);
  x = bn1_->forward(conv1_->forward(x)).relu_();
  int64_t layer = 0, block = 0;
  for (torch::nn::AnyModule& each : *layers_) {
    x = each.forward(x);
    // As BlockParts has it.
    if (layer == 0 || layer == 2 || layer == 5 || layer == 12) {
      x = EndBlock(block++, x);
    }
    ++layer;
  }
  x = bn2_->forward(conv2_->forward(x)).relu_();
  return linear_->forward(GlobalMean(x));
}

}  // namespace

std::shared_ptr<Model> MakeCifarMobilenetV2(
    const CifarMobilenetV2Options& options) {
  return std::make_shared<CifarMobilenetV2>(options);
}

}  // namespace headstart::worker
