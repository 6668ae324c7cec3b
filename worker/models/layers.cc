#include "worker/models/layers.h"

#include <cmath>
#include <variant>

#include <ATen/core/Generator.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mean.h>

#include "initializers/layer_output.h"

namespace headstart::worker {

using torch::nn::Conv2dOptions;
using torch::nn::LinearOptions;

Conv2dImpl::Conv2dImpl(const Conv2dOptions& options)
    : weight(register_parameter(
          "weight",
          at::empty(
              {options.out_channels(), options.in_channels() / options.groups(),
               options.kernel_size()->at(0), options.kernel_size()->at(1)}))),
      stride_(options.stride()),
      padding_(std::get<torch::ExpandingArray<2>>(options.padding())),
      dilation_(options.dilation()),
      groups_(options.groups()) {
  if (options.bias()) {
    bias = register_parameter("bias", at::empty({options.out_channels()}));
  }
}

at::Tensor Conv2dImpl::forward(const at::Tensor& x) {
  return initializers::Heard(*this, at::conv2d(x, weight, bias, stride_,
                                               padding_, dilation_, groups_));
}

LinearImpl::LinearImpl(const LinearOptions& options)
    : weight(register_parameter("weight", at::empty({options.out_features(),
                                                     options.in_features()}))) {
  if (options.bias()) {
    bias = register_parameter("bias", at::empty({options.out_features()}));
  }
}

at::Tensor LinearImpl::forward(const at::Tensor& x) {
  return initializers::Heard(*this, at::linear(x, weight, bias));
}

Conv2d Conv3x3(int64_t in, int64_t out, int64_t stride, bool bias) {
  return Conv2d(Conv2dOptions(in, out, 3).stride(stride).padding(1).bias(bias));
}

Conv2d Conv1x1(int64_t in, int64_t out, int64_t stride, bool bias) {
  return Conv2d(Conv2dOptions(in, out, 1).stride(stride).bias(bias));
}

at::Tensor Normalized(torch::nn::BatchNorm2d& bn, const at::Tensor& x) {
  return bn.is_empty() ? x : bn->forward(x);
}

at::Tensor NormalizedRelu(torch::nn::BatchNorm2d& bn, const at::Tensor& x) {
  // In place where the output is the norm's own: the input may be the block's.
  return bn.is_empty() ? x.relu() : bn->forward(x).relu_();
}

at::Tensor GlobalMean(const at::Tensor& x) { return x.mean({2, 3}); }

at::Tensor ChannelsLast(const at::Tensor& images) {
  return images.contiguous(at::MemoryFormat::ChannelsLast);
}

void DrawConvolutionsByFanOut(torch::nn::Module& module,
                              at::Generator& generator) {
  for (const auto& below : module.modules()) {
    const auto* conv = below->as<Conv2d>();
    if (conv == nullptr) continue;
    const double fan_out = conv->weight.numel() / conv->weight.size(1);
    conv->weight.normal_(0, std::sqrt(2 / fan_out), generator);
    if (conv->bias.defined()) conv->bias.zero_();
  }
}

}  // namespace headstart::worker
