#include "initializers/classic/orthogonal.h"

#include <tuple>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/where.h>

namespace headstart::initializers {

at::Tensor OrthogonalFactor(const at::Tensor& weight) {
  const at::Tensor matrix = weight.flatten(1).to(at::kDouble);
  const bool wide = matrix.size(0) < matrix.size(1);
  const auto [q, r] = at::linalg_qr(wide ? matrix.t() : matrix, "reduced");
  // Without this the signs would be LAPACK's choice. That of 0 counts as 1: a
  // column stays one.
  const at::Tensor signed_q = q.mul(at::where(r.diagonal().lt(0), -1., 1.));
  return (wide ? signed_q.t() : signed_q).reshape(weight.sizes());
}

void FillWeight(const OrthogonalOptions& options, const at::Tensor& weight,
                at::Generator& generator) {
  if (weight.numel() == 0) return;
  at::Tensor draws = at::empty(weight.sizes(), weight.options());
  draws.normal_(0, 1, generator);
  weight.copy_(OrthogonalFactor(draws).mul_(options.gain));
}

}  // namespace headstart::initializers
