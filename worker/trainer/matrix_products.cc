#include "worker/trainer/matrix_products.h"

#include <cstdint>
#include <optional>

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/addmm_cpu_dispatch.h>
#include <ATen/ops/mm_cpu_dispatch.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

namespace headstart::worker {
namespace {

// Multiplications from which on oneDNN makes up for its setting up.
constexpr int64_t kLarge = 1 << 18;

bool IsFloatMatrix(const at::Tensor& tensor) {
  return tensor.dim() == 2 && tensor.scalar_type() == at::kFloat &&
         tensor.layout() == at::kStrided;
}

bool IsLargeProduct(const at::Tensor& a, const at::Tensor& b) {
  return IsFloatMatrix(a) && IsFloatMatrix(b) && a.size(1) == b.size(0) &&
         a.size(0) * a.size(1) * b.size(1) >= kLarge;
}

// a x b^T + bias
at::Tensor Linear(const at::Tensor& a, const at::Tensor& b,
                  const std::optional<at::Tensor>& bias) {
  using Signature = at::Tensor(
      const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
      c10::string_view, c10::List<std::optional<at::Scalar>>,
      std::optional<c10::string_view>);
  static const auto linear =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
          .typed<Signature>();
  return linear.redispatch(c10::DispatchKeySet(c10::DispatchKey::CPU), a, b,
                           bias, "none", c10::List<std::optional<at::Scalar>>(),
                           "");
}

at::Tensor Multiply(const at::Tensor& a, const at::Tensor& b) {
  if (!IsLargeProduct(a, b)) return at::cpu::mm(a, b);
  return Linear(a, b.t(), std::nullopt);
}

// A linear layer with its bias; other sums are left to MKL.
at::Tensor MultiplyAndAdd(const at::Tensor& bias, const at::Tensor& a,
                          const at::Tensor& b, const at::Scalar& beta,
                          const at::Scalar& alpha) {
  if (!IsLargeProduct(a, b) || bias.dim() != 1 || bias.size(0) != b.size(1) ||
      bias.scalar_type() != at::kFloat || beta.toDouble() != 1 ||
      alpha.toDouble() != 1) {
    return at::cpu::addmm(bias, a, b, beta, alpha);
  }
  return Linear(a, b.t(), bias);
}

// Replacing a kernel is what we want, so that it happens is no news.
class Silence final : public c10::WarningHandler {
  void process(const c10::Warning&) override {}
};

}  // namespace

bool UseFasterMatrixProducts() {
  if (__builtin_cpu_is("intel") || !__builtin_cpu_supports("avx512f")) {
    return false;
  }
  Silence silence;
  const c10::WarningUtils::WarningHandlerGuard guard(&silence);
  static torch::Library kernels(torch::Library::IMPL, "aten",
                                c10::DispatchKey::CPU, __FILE__, __LINE__);
  kernels.impl("mm", &Multiply);
  kernels.impl("addmm", &MultiplyAndAdd);
  return true;
}

}  // namespace headstart::worker
