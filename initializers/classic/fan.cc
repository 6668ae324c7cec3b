#include "initializers/classic/fan.h"

#include <ATen/core/Tensor.h>

#include "base/check.h"

namespace headstart::initializers {

Fan FanOf(const at::Tensor& weight) {
  HS_CHECK_GE(weight.dim(), 2);
  int64_t kernel = 1;
  for (int64_t d = 2; d < weight.dim(); ++d) kernel *= weight.size(d);
  return {.in = weight.size(1) * kernel, .out = weight.size(0) * kernel};
}

}  // namespace headstart::initializers
