// LeNet-300-100: small enough for every test run.
#pragma once

#include <cstdint>

#include <torch/nn/modules/container/sequential.h>

#include "initializers/blocks.h"
#include "worker/models/model.h"

namespace headstart::worker {

// Three linear layers with ReLU between (LeCun et al. 1998), or leaky ReLU of
// slope `negative_slope`: inputs-300-100-classes, named layers.0, layers.2 and
// layers.4. 266,610 parameters for 784 inputs and 10 classes.
class Lenet300100 final : public Model, public initializers::BlockedModel {
 public:
  Lenet300100(int64_t inputs, int64_t classes, double negative_slope);

  at::Tensor forward(const at::Tensor& images) override;
  std::vector<std::vector<std::string>> BlockParts() const override {
    return {{"layers.0"}, {"layers.2"}, {"layers.4"}};
  }

 private:
  torch::nn::Sequential layers_;
};

}  // namespace headstart::worker
