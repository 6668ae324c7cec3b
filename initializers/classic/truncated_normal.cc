#include "initializers/classic/truncated_normal.h"

#include <cmath>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "base/check.h"

namespace headstart::initializers {

void FillTruncatedNormal(const at::Tensor& tensor,
                         const TruncatedNormalOptions& options,
                         at::Generator& generator) {
  HS_CHECK(options.deviation > 0 && options.cut > 0);
  const at::NoGradGuard no_grad;
  // The share of the normal distribution within the cuts: erf, and so erfinv of
  // a uniform draw from [-share, share] is a draw from within them, in units of
  // sqrt(2) deviations.
  const double unit = std::sqrt(2.0) * options.deviation;
  const double share = std::erf(options.cut / unit);
  if (share == 1) {
    // Cuts beyond all that a draw can reach, 100 deviations say: the plain
    // distribution, several times as fast.
    tensor.normal_(0, options.deviation, generator);
    return;
  }
  at::Tensor draws = at::empty(tensor.sizes(), at::kDouble);
  draws.uniform_(-share, share, generator).erfinv_().mul_(unit);
  // A share that rounding brings next to 1 may draw an infinity.
  tensor.copy_(draws.clamp_(-options.cut, options.cut));
}

}  // namespace headstart::initializers
