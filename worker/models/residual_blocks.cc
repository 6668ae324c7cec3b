#include "worker/models/residual_blocks.h"

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/zeros_like.h>

namespace headstart::worker {
namespace {

using torch::nn::BatchNorm2d;
using torch::nn::Conv2dOptions;
using torch::nn::Sequential;

// relu(branch + shortcut(x)) in the memory of `branch`.
at::Tensor Join(at::Tensor branch, Sequential& shortcut, const at::Tensor& x) {
  branch.add_(shortcut.is_empty() ? x : shortcut->forward(x));
  return branch.relu_();
}

}  // namespace

Conv2d StemConv7x7(int64_t channels) {
  return Conv2d(
      Conv2dOptions(channels, 64, 7).stride(2).padding(3).bias(false));
}

at::Tensor StemPool(const at::Tensor& x) {
  return at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1});
}

Shortcut ProjectionWhereNeeded(const char* name, int64_t in, int64_t out,
                               int64_t stride, Norm norm) {
  if (stride == 1 && in == out) return {.name = name};
  const bool bias = norm == Norm::kNone;
  Sequential layers(Conv1x1(in, out, stride, bias));
  if (norm == Norm::kBatchNorm) layers->push_back(BatchNorm2d(out));
  return {.name = name, .layers = layers};
}

at::Tensor Subsampled(const at::Tensor& x) {
  return at::avg_pool2d(x, {1, 1}, {2, 2});
}

at::Tensor WithZeroChannels(const at::Tensor& x) {
  return at::cat({x, at::zeros_like(x)}, 1);
}

BasicBlockImpl::BasicBlockImpl(int64_t in, int64_t out, int64_t stride,
                               const Shortcut& shortcut, Norm norm)
    : conv1_(Conv3x3(in, out, stride, /*bias=*/norm == Norm::kNone)),
      conv2_(Conv3x3(out, out, 1, /*bias=*/norm == Norm::kNone)) {
  register_module("conv1", conv1_);
  if (norm == Norm::kBatchNorm) bn1_ = register_module("bn1", BatchNorm2d(out));
  register_module("conv2", conv2_);
  if (norm == Norm::kBatchNorm) bn2_ = register_module("bn2", BatchNorm2d(out));
  if (!shortcut.layers.is_empty()) {
    shortcut_ = register_module(shortcut.name, shortcut.layers);
  }
}

at::Tensor BasicBlockImpl::forward(const at::Tensor& x) {
  const at::Tensor y = NormalizedRelu(bn1_, conv1_->forward(x));
  return Join(Normalized(bn2_, conv2_->forward(y)), shortcut_, x);
}

at::Tensor BasicBlockImpl::LastNormScale() const {
  return bn2_.is_empty() ? at::Tensor() : bn2_->weight;
}

BottleneckImpl::BottleneckImpl(int64_t in, int64_t width, int64_t out,
                               int64_t stride, const Shortcut& shortcut)
    : conv1_(register_module("conv1", Conv1x1(in, width))),
      bn1_(register_module("bn1", BatchNorm2d(width))),
      conv2_(register_module("conv2", Conv3x3(width, width, stride))),
      bn2_(register_module("bn2", BatchNorm2d(width))),
      conv3_(register_module("conv3", Conv1x1(width, out))),
      bn3_(register_module("bn3", BatchNorm2d(out))) {
  if (!shortcut.layers.is_empty()) {
    shortcut_ = register_module(shortcut.name, shortcut.layers);
  }
}

at::Tensor BottleneckImpl::forward(const at::Tensor& x) {
  at::Tensor y = bn1_->forward(conv1_->forward(x)).relu_();
  y = bn2_->forward(conv2_->forward(y)).relu_();
  return Join(bn3_->forward(conv3_->forward(y)), shortcut_, x);
}

Sequential ResnetStage(const ResnetLayout& layout, int stage,
                       const char* shortcut_name) {
  const int64_t planes = 64 << stage;
  const int64_t out = layout.bottlenecks ? 4 * planes : planes;
  int64_t in = stage == 0 ? 64 : out / 2;
  Sequential blocks;
  for (int64_t i = 0; i < layout.blocks[stage]; ++i) {
    const int64_t stride = stage > 0 && i == 0 ? 2 : 1;
    const Shortcut shortcut =
        ProjectionWhereNeeded(shortcut_name, in, out, stride);
    if (layout.bottlenecks) {
      blocks->push_back(
          Bottleneck(in, planes * layout.widening, out, stride, shortcut));
    } else {
      blocks->push_back(BasicBlock(in, out, stride, shortcut));
    }
    in = out;
  }
  return blocks;
}

}  // namespace headstart::worker
