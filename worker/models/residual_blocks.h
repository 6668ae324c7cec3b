// The blocks that all residual networks with the activation last are made of.
#pragma once

#include <cstdint>

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>

#include "initializers/residual_branch.h"
#include "worker/models/layers.h"

namespace headstart::worker {

// The stem for images of about 224x224, a quarter of the size behind it: 64
// planes, 7x7 with stride 2, then the largest of 3x3 with stride 2.
Conv2d StemConv7x7(int64_t channels);
at::Tensor StemPool(const at::Tensor& x);

// How a block's input reaches its output. Without layers: unchanged.
struct Shortcut {
  const char* name;  // Of the module: its tensors are <name>.0.weight, ...
  torch::nn::Sequential layers = nullptr;
};

// A 1x1 convolution and its norm where the shape changes, else no layers.
Shortcut ProjectionWhereNeeded(const char* name, int64_t in, int64_t out,
                               int64_t stride, Norm norm = Norm::kBatchNorm);

// Every second row and column. For shortcuts without weights.
at::Tensor Subsampled(const at::Tensor& x);
// Twice the channels, the new ones 0.
at::Tensor WithZeroChannels(const at::Tensor& x);

// relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)), 3x3 convolutions; they
// have biases when there are no norms.
class BasicBlockImpl final : public torch::nn::Module,
                             public initializers::ResidualBranch {
 public:
  BasicBlockImpl(int64_t in, int64_t out, int64_t stride,
                 const Shortcut& shortcut, Norm norm = Norm::kBatchNorm);

  at::Tensor forward(const at::Tensor& x);
  at::Tensor LastNormScale() const override;

 private:
  Conv2d conv1_;
  torch::nn::BatchNorm2d bn1_{nullptr};
  Conv2d conv2_;
  torch::nn::BatchNorm2d bn2_{nullptr};
  torch::nn::Sequential shortcut_{nullptr};
};
TORCH_MODULE(BasicBlock);

// The same with three convolutions, 1x1 to `width` channels, 3x3 with the
// stride, 1x1 to `out`: bn3(conv3(relu(bn2(conv2(relu(bn1(conv1(x)))))))).
class BottleneckImpl final : public torch::nn::Module,
                             public initializers::ResidualBranch {
 public:
  BottleneckImpl(int64_t in, int64_t width, int64_t out, int64_t stride,
                 const Shortcut& shortcut);

  at::Tensor forward(const at::Tensor& x);
  at::Tensor LastNormScale() const override { return bn3_->weight; }

 private:
  Conv2d conv1_;
  torch::nn::BatchNorm2d bn1_;
  Conv2d conv2_;
  torch::nn::BatchNorm2d bn2_;
  Conv2d conv3_;
  torch::nn::BatchNorm2d bn3_;
  torch::nn::Sequential shortcut_{nullptr};
};
TORCH_MODULE(Bottleneck);

// Four stages of 64, 128, 256 and 512 planes; all but the first halve the size
// in their first block.
struct ResnetLayout {
  bool bottlenecks;
  int64_t blocks[4];
  // Factor on the planes for the inner channels of bottlenecks.
  int64_t widening = 1;

  // Channels that the last stage gives.
  int64_t features() const { return bottlenecks ? 2048 : 512; }
};
inline constexpr ResnetLayout kResnet18 = {false, {2, 2, 2, 2}};
inline constexpr ResnetLayout kResnet34 = {false, {3, 4, 6, 3}};
inline constexpr ResnetLayout kResnet50 = {true, {3, 4, 6, 3}};
inline constexpr ResnetLayout kResnet101 = {true, {3, 4, 23, 3}};
inline constexpr ResnetLayout kResnet152 = {true, {3, 8, 36, 3}};
inline constexpr ResnetLayout kWideResnet50x2 = {true, {3, 4, 6, 3}, 2};

// Stage `stage`, 0 to 3, of a layout. Its shortcuts are projections.
torch::nn::Sequential ResnetStage(const ResnetLayout& layout, int stage,
                                  const char* shortcut_name);

}  // namespace headstart::worker
