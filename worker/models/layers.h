// Layers that leave their weights to an initializer, and what models share.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/options/conv.h>
#include <torch/nn/options/linear.h>
#include <torch/nn/pimpl.h>

namespace at {
struct Generator;
}

namespace headstart::worker {

// torch::nn::Conv2d and torch::nn::Linear without the draws of their
// constructors, 5 ns a weight that no initializer ever wants. Options, tensor
// names and results are theirs; their weights hold arbitrary values.

// Zero padding given in pixels, no transposition.
class Conv2dImpl final : public torch::nn::Module {
 public:
  explicit Conv2dImpl(const torch::nn::Conv2dOptions& options);

  at::Tensor forward(const at::Tensor& x);

  at::Tensor weight;  // [out, in / groups, height, width]
  at::Tensor bias;    // [out], or undefined.

 private:
  torch::ExpandingArray<2> stride_;
  torch::ExpandingArray<2> padding_;
  torch::ExpandingArray<2> dilation_;
  int64_t groups_;
};
TORCH_MODULE(Conv2d);

class LinearImpl final : public torch::nn::Module {
 public:
  LinearImpl(int64_t in, int64_t out)
      : LinearImpl(torch::nn::LinearOptions(in, out)) {}
  explicit LinearImpl(const torch::nn::LinearOptions& options);

  at::Tensor forward(const at::Tensor& x);

  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out], or undefined.
};
TORCH_MODULE(Linear);

Conv2d Conv3x3(int64_t in, int64_t out, int64_t stride = 1, bool bias = false);
Conv2d Conv1x1(int64_t in, int64_t out, int64_t stride = 1, bool bias = false);

enum class Norm { kBatchNorm, kNone };

// `bn`'s output, or `x` itself for layers without norms.
at::Tensor Normalized(torch::nn::BatchNorm2d& bn, const at::Tensor& x);
// relu(Normalized(bn, x)).
at::Tensor NormalizedRelu(torch::nn::BatchNorm2d& bn, const at::Tensor& x);

// The mean over all positions: [batch, channels]. For any image size.
at::Tensor GlobalMean(const at::Tensor& x);

// Images as the layers want them: batch norm and pooling are vectorized across
// channels only when these lie together. Weights keep their own layout.
at::Tensor ChannelsLast(const at::Tensor& images);

// Draws the weights of all convolutions below `module` from N(0, 2 / fan_out),
// Kaiming normal for ReLU in the mode that keeps gradients' variance, and sets
// their biases to 0. In registration order, without gradients.
void DrawConvolutionsByFanOut(torch::nn::Module& module,
                              at::Generator& generator);

}  // namespace headstart::worker
