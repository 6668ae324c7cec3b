// A convolutional network that its options describe layer by layer, so that
// many can be drawn.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <torch/nn/modules/container/modulelist.h>

#include "initializers/blocks.h"
#include "worker/models/layers.h"
#include "worker/models/model.h"
#include "worker/models/model_shape.h"

namespace headstart::worker {

struct CnnLayer {
  int64_t channels;
  int64_t kernel;  // Odd: the size of the image stays.
  bool skip;

  auto operator<=>(const CnnLayer&) const = default;
};

using CnnLayers = std::vector<CnnLayer>;

// One layer: relu(norm(conv(x))), or with a skip relu(norm(conv(x) + x)), where
// x goes through a 1x1 convolution if the channels differ. The norm is over all
// values of an image and has no parameters.
class CnnBlockImpl final : public torch::nn::Module {
 public:
  CnnBlockImpl(int64_t in, const CnnLayer& layer);

  at::Tensor forward(const at::Tensor& x);

 private:
  const bool skip_;
  Conv2d conv_;
  Conv2d projection_ = nullptr;
};
TORCH_MODULE(CnnBlock);

inline constexpr int64_t kSampledCnnMinSide = 4;

// The layers, a 2x2 max pooling behind each of the first two, the mean over all
// positions, a linear classifier. All convolutions have biases.
class SampledCnn final : public Model, public initializers::BlockedModel {
 public:
  SampledCnn(const CnnLayers& layers, const ModelShape& shape);

  at::Tensor forward(const at::Tensor& images) override;
  // A layer each.
  std::vector<std::vector<std::string>> BlockParts() const override;

  // Computes with these tensors from now on, in place of its parameters, which
  // stay as they are. All of them must be there, by name and in their shapes.
  void ComputeWith(const std::map<std::string, at::Tensor>& tensors);

 private:
  torch::nn::ModuleList layers_;  // CnnBlocks.
  Linear linear_;
};

inline constexpr int64_t kSampleCnnsMaxKernel = 5;

// The first `count` different networks of an endless list, which the seed
// determines: 2 to 6 layers of 8, 16, 24 or 32 channels, kernels of 1, 3 or 5,
// every second one with a skip.
std::vector<CnnLayers> SampleCnns(uint64_t seed, int64_t count);

}  // namespace headstart::worker
