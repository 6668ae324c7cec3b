// What a layer computes, for who listens: LibTorch's modules have no hooks.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

namespace torch::nn {
class Module;
}

namespace headstart::initializers {

// While it lives, gets the output of every convolution and linear layer that
// this thread runs. One at a time on a thread.
class LayerOutputListener final {
 public:
  using Callback = std::function<void(const torch::nn::Module& layer,
                                      const at::Tensor& output)>;

  explicit LayerOutputListener(Callback callback);
  ~LayerOutputListener();
  LayerOutputListener(const LayerOutputListener&) = delete;
  LayerOutputListener& operator=(const LayerOutputListener&) = delete;

 private:
  friend at::Tensor Heard(const torch::nn::Module& layer, at::Tensor output);

  const Callback callback_;
};

// Every such layer returns its output through this.
at::Tensor Heard(const torch::nn::Module& layer, at::Tensor output);

}  // namespace headstart::initializers
