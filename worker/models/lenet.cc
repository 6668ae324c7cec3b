#include "worker/models/lenet.h"

#include <torch/nn/modules/activation.h>

#include "worker/models/layers.h"

namespace headstart::worker {

Lenet300100::Lenet300100(int64_t inputs, int64_t classes,
                         double negative_slope) {
  const auto add_activation = [&] {
    if (negative_slope == 0) {
      layers_->push_back(torch::nn::ReLU());
    } else {
      layers_->push_back(torch::nn::LeakyReLU(
          torch::nn::LeakyReLUOptions().negative_slope(negative_slope)));
    }
  };
  layers_->push_back(Linear(inputs, 300));
  add_activation();
  layers_->push_back(Linear(300, 100));
  add_activation();
  layers_->push_back(Linear(100, classes));
  register_module("layers", layers_);
}

at::Tensor Lenet300100::forward(const at::Tensor& images) {
  at::Tensor x = images.flatten(1);
  int64_t place = 0;
  for (torch::nn::AnyModule& layer : *layers_) {
    x = layer.forward(x);
    // Behind the activations.
    if (place % 2 == 1) x = EndBlock(place / 2, x);
    ++place;
  }
  return x;
}

}  // namespace headstart::worker
