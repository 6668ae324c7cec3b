// Modules one after the other, also inside one another.
#pragma once

#include <torch/nn/modules/container/sequential.h>

namespace headstart::worker {

// A torch::nn::Sequential that may be an element of another one: torch's own
// cannot, since its forward is a template.
class ChainImpl final : public torch::nn::SequentialImpl {
 public:
  using SequentialImpl::SequentialImpl;

  at::Tensor forward(const at::Tensor& x) { return SequentialImpl::forward(x); }
};
TORCH_MODULE(Chain);

}  // namespace headstart::worker
