#include "worker/models/stochastic_depth.h"

#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

namespace headstart::worker {

at::Tensor StochasticDepth(const at::Tensor& branch, double drop,
                           bool training) {
  if (!training || drop == 0) return branch;
  std::vector<int64_t> sizes(branch.dim(), 1);
  sizes[0] = branch.size(0);
  at::Tensor keep = at::empty(sizes, branch.options()).bernoulli_(1 - drop);
  if (drop < 1) keep.div_(1 - drop);
  return branch.mul(keep);
}

double DropOfBlock(double drop, int64_t index, int64_t blocks) {
  return drop * static_cast<double>(index) / static_cast<double>(blocks - 1);
}

}  // namespace headstart::worker
