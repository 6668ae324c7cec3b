#include "worker/models/dense_block.h"

#include <string>

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>

namespace headstart::worker {

using torch::nn::BatchNorm2d;

DenseLayerImpl::DenseLayerImpl(int64_t in, int64_t growth, Norm norm) {
  const bool norms = norm == Norm::kBatchNorm;
  const int64_t inner = 4 * growth;
  if (norms) norm1_ = register_module("norm1", BatchNorm2d(in));
  conv1_ = register_module("conv1", Conv1x1(in, inner, 1, /*bias=*/!norms));
  if (norms) norm2_ = register_module("norm2", BatchNorm2d(inner));
  conv2_ = register_module("conv2", Conv3x3(inner, growth, 1, /*bias=*/!norms));
}

at::Tensor DenseLayerImpl::forward(const at::Tensor& x) {
  const at::Tensor y = conv1_->forward(NormalizedRelu(norm1_, x));
  return conv2_->forward(NormalizedRelu(norm2_, y));
}

DenseBlockImpl::DenseBlockImpl(int64_t in, int64_t layers, int64_t growth,
                               Norm norm) {
  for (int64_t i = 0; i < layers; ++i) {
    layers_.push_back(
        register_module("denselayer" + std::to_string(i + 1),
                        DenseLayer(in + i * growth, growth, norm)));
  }
}

at::Tensor DenseBlockImpl::forward(const at::Tensor& x) {
  at::Tensor features = x;
  for (DenseLayer& layer : layers_) {
    features = at::cat({features, layer->forward(features)}, 1);
  }
  return features;
}

DenseTransitionImpl::DenseTransitionImpl(int64_t in, Norm norm) {
  const bool norms = norm == Norm::kBatchNorm;
  if (norms) norm_ = register_module("norm", BatchNorm2d(in));
  conv_ = register_module("conv", Conv1x1(in, in / 2, 1, /*bias=*/!norms));
}

at::Tensor DenseTransitionImpl::forward(const at::Tensor& x) {
  return at::avg_pool2d(conv_->forward(NormalizedRelu(norm_, x)), {2, 2});
}

}  // namespace headstart::worker
