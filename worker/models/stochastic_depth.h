// Residual branches that are left out at random.
#pragma once

#include <cstdint>

namespace at {
class Tensor;
}

namespace headstart::worker {

// While training, sets each example of `branch` [batch, ...] to 0 with
// probability `drop` and divides the others by 1 - drop (Huang et al. 2016);
// otherwise `branch` itself. Draws from torch's default generator.
at::Tensor StochasticDepth(const at::Tensor& branch, double drop,
                           bool training);

// What the block at `index` of `blocks` drops when the last drops `drop`: it
// rises linearly from 0.
double DropOfBlock(double drop, int64_t index, int64_t blocks);

}  // namespace headstart::worker
