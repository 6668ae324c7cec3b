#include "worker/models/lenet.h"

#include <torch/nn/modules/activation.h>

#include "worker/models/layers.h"

namespace headstart::worker {

Lenet300100::Lenet300100(int64_t inputs, int64_t classes)
    : layers_(register_module(
          "layers",
          torch::nn::Sequential(Linear(inputs, 300), torch::nn::ReLU(),
                                Linear(300, 100), torch::nn::ReLU(),
                                Linear(100, classes)))) {}

at::Tensor Lenet300100::forward(const at::Tensor& images) {
  return layers_->forward(images.flatten(1));
}

}  // namespace headstart::worker
