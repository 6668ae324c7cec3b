#include "worker/models/sampled_cnn.h"

#include <set>
#include <utility>

#include <ATen/ops/group_norm.h>
#include <ATen/ops/max_pool2d.h>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/random_stream.h"

namespace headstart::worker {
namespace {

Conv2d SameSize(int64_t in, int64_t out, int64_t kernel) {
  return Conv2d(torch::nn::Conv2dOptions(in, out, kernel).padding(kernel / 2));
}

CnnLayers DrawCnn(uint64_t seed, int64_t number) {
  RandomStream stream = RandomStream(seed).Child("sampled_cnn", number);
  CnnLayers layers(2 + stream.UniformInt(5));
  for (CnnLayer& layer : layers) {
    layer = {.channels = 8 * (1 + stream.UniformInt(4)),
             .kernel = 1 + 2 * stream.UniformInt(3),
             .skip = stream.UniformInt(2) == 1};
  }
  return layers;
}

}  // namespace

CnnBlockImpl::CnnBlockImpl(int64_t in, const CnnLayer& layer)
    : skip_(layer.skip),
      conv_(
          register_module("conv", SameSize(in, layer.channels, layer.kernel))) {
  if (skip_ && in != layer.channels) {
    projection_ =
        register_module("projection", SameSize(in, layer.channels, 1));
  }
}

at::Tensor CnnBlockImpl::forward(const at::Tensor& x) {
  at::Tensor y = conv_->forward(x);
  if (skip_) y = y + (projection_.is_empty() ? x : projection_->forward(x));
  return at::group_norm(y, /*num_groups=*/1).relu();
}

SampledCnn::SampledCnn(const CnnLayers& layers, const ModelShape& shape)
    : layers_(register_module("layers", torch::nn::ModuleList())),
      linear_(nullptr) {
  HS_CHECK(!layers.empty());
  int64_t channels = shape.channels;
  for (const CnnLayer& layer : layers) {
    layers_->push_back(CnnBlock(channels, layer));
    channels = layer.channels;
  }
  linear_ = register_module("linear", Linear(channels, shape.classes));
}

at::Tensor SampledCnn::forward(const at::Tensor& images) {
  at::Tensor x = ChannelsLast(images);
  for (size_t i = 0; i < layers_->size(); ++i) {
    x = layers_->at<CnnBlockImpl>(i).forward(x);
    if (i + 1 < layers_->size()) x = EndBlock(i, x);
    if (i < 2) x = at::max_pool2d(x, {2, 2});
  }
  return linear_->forward(GlobalMean(x));
}

std::vector<std::vector<std::string>> SampledCnn::BlockParts() const {
  std::vector<std::vector<std::string>> blocks;
  for (size_t i = 0; i < layers_->size(); ++i) {
    blocks.push_back({absl::StrCat("layers.", i)});
  }
  blocks.back().push_back("linear");
  return blocks;
}

void SampledCnn::ComputeWith(const std::map<std::string, at::Tensor>& tensors) {
  const auto replace = [&](const std::string& layer, at::Tensor& weight,
                           at::Tensor& bias) {
    for (auto& [name, tensor] :
         {std::pair(".weight", &weight), std::pair(".bias", &bias)}) {
      const at::Tensor& other = tensors.at(layer + name);
      HS_CHECK(other.sizes() == tensor->sizes());
      *tensor = other;
    }
  };
  for (const auto& below : named_modules()) {
    if (auto* conv = below.value()->as<Conv2d>()) {
      replace(below.key(), conv->weight, conv->bias);
    } else if (auto* linear = below.value()->as<Linear>()) {
      replace(below.key(), linear->weight, linear->bias);
    }
  }
}

std::vector<CnnLayers> SampleCnns(uint64_t seed, int64_t count) {
  std::vector<CnnLayers> networks;
  std::set<CnnLayers> seen;
  for (int64_t number = 0; static_cast<int64_t>(networks.size()) < count;
       ++number) {
    CnnLayers layers = DrawCnn(seed, number);
    if (seen.insert(layers).second) networks.push_back(std::move(layers));
  }
  return networks;
}

}  // namespace headstart::worker
