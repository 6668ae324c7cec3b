#include "worker/models/densenet121.h"

#include <cmath>
#include <iterator>
#include <string>
#include <vector>

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/max_pool2d.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/functional.h>

#include "initializers/classic/fan.h"
#include "initializers/own_default.h"
#include "worker/models/chain.h"
#include "worker/models/layers.h"
#include "worker/models/model.h"

namespace headstart::worker {
namespace {

using torch::nn::BatchNorm2d;
using torch::nn::Conv2dOptions;
using torch::nn::Functional;

constexpr int64_t kStemOut = 64;
constexpr int64_t kGrowth = 32;  // Channels that each dense layer adds.
constexpr int64_t kBottleneck = 4 * kGrowth;
constexpr int64_t kBlockLayers[] = {6, 12, 24, 16};

at::Tensor Relu(const at::Tensor& x) { return x.relu(); }

// The channels that a dense layer adds to those it sees.
class DenseLayer final : public torch::nn::Module {
 public:
  explicit DenseLayer(int64_t in)
      : norm1_(register_module("norm1", BatchNorm2d(in))),
        conv1_(register_module("conv1", Conv1x1(in, kBottleneck))),
        norm2_(register_module("norm2", BatchNorm2d(kBottleneck))),
        conv2_(register_module("conv2", Conv3x3(kBottleneck, kGrowth))) {}

  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor y = conv1_->forward(norm1_->forward(x).relu_());
    return conv2_->forward(norm2_->forward(y).relu_());
  }

 private:
  BatchNorm2d norm1_;
  Conv2d conv1_;
  BatchNorm2d norm2_;
  Conv2d conv2_;
};

// Layers of which each sees what all before it have made.
class DenseBlock final : public torch::nn::Module {
 public:
  DenseBlock(int64_t in, int64_t layers) {
    for (int64_t i = 0; i < layers; ++i) {
      layers_.push_back(
          register_module("denselayer" + std::to_string(i + 1),
                          std::make_shared<DenseLayer>(in + i * kGrowth)));
    }
  }

  at::Tensor forward(const at::Tensor& x) {
    std::vector<at::Tensor> features = {x};
    for (const auto& layer : layers_) {
      features.push_back(layer->forward(at::cat(features, 1)));
    }
    return at::cat(features, 1);
  }

 private:
  std::vector<std::shared_ptr<DenseLayer>> layers_;
};

// Half the channels, half the size.
Chain Transition(int64_t in) {
  Chain transition;
  transition->push_back("norm", BatchNorm2d(in));
  transition->push_back("relu", Functional(Relu));
  transition->push_back("conv", Conv1x1(in, in / 2));
  transition->push_back("pool", Functional([](const at::Tensor& x) {
                          return at::avg_pool2d(x, {2, 2});
                        }));
  return transition;
}

class Densenet121 final : public Model, public initializers::OwnDefault {
 public:
  explicit Densenet121(const Densenet121Options& options);

  at::Tensor forward(const at::Tensor& images) override;
  // Convolutions: Kaiming normal, fan-in. The classifier's bias: 0.
  void InitializeOwn(at::Generator& generator) override;

 private:
  Chain features_;
  Linear classifier_{nullptr};
};

Densenet121::Densenet121(const Densenet121Options& options) {
  features_->push_back("conv0",
                       options.small_images
                           ? Conv3x3(options.channels, kStemOut)
                           : Conv2d(Conv2dOptions(options.channels, kStemOut, 7)
                                        .stride(2)
                                        .padding(3)
                                        .bias(false)));
  features_->push_back("norm0", BatchNorm2d(kStemOut));
  features_->push_back("relu0", Functional(Relu));
  if (!options.small_images) {
    features_->push_back("pool0", Functional([](const at::Tensor& x) {
                           return at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1});
                         }));
  }
  int64_t width = kStemOut;
  for (size_t i = 0; i < std::size(kBlockLayers); ++i) {
    const std::string number = std::to_string(i + 1);
    features_->push_back("denseblock" + number,
                         std::make_shared<DenseBlock>(width, kBlockLayers[i]));
    width += kBlockLayers[i] * kGrowth;
    if (i + 1 == std::size(kBlockLayers)) break;
    features_->push_back("transition" + number, Transition(width));
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
