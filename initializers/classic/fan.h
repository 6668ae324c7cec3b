// The two sides of a layer, from which widths are computed.
#pragma once

#include <cstdint>

namespace at {
class Tensor;
}

namespace headstart::initializers {

// torch's convention: of a weight out x in/groups x kernel, `in` is in/groups
// times the kernel's size, `out` is out times it, not divided by groups.
struct Fan {
  int64_t in;
  int64_t out;
};

// `weight` has two or more dimensions.
Fan FanOf(const at::Tensor& weight);

}  // namespace headstart::initializers
