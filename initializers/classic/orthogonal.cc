#include "initializers/classic/orthogonal.h"

#include <tuple>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/where.h>

namespace headstart::initializers {

void FillWeight(const OrthogonalOptions& options, const at::Tensor& weight,
                at::Generator& generator) {
  if (weight.numel() == 0) return;
  const int64_t rows = weight.size(0);
  const int64_t columns = weight.numel() / rows;
  at::Tensor draws = at::empty({rows, columns}, weight.options());
  draws.normal_(0, 1, generator);
  if (rows < columns) draws = draws.t();
  const auto [q, r] = at::linalg_qr(draws.to(at::kDouble), "reduced");
  // Without this the signs would be LAPACK's choice. That of 0 counts as 1: a
  // column stays one.
  const at::Tensor diagonal = r.diagonal();
  at::Tensor columns_of_one =
      q.mul(at::where(diagonal.lt(0), -options.gain, options.gain));
  if (rows < columns) columns_of_one = columns_of_one.t();
  weight.copy_(columns_of_one.reshape(weight.sizes()));
}

}  // namespace headstart::initializers
