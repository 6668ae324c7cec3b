#include "worker/trainer/matrix_products.h"

#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>

namespace headstart::worker {
namespace {

// Rows, inner size, columns: small ones stay with MKL.
class MatrixProductsTest
    : public ::testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t>> {
 protected:
  static void SetUpTestSuite() { UseFasterMatrixProducts(); }
};

bool Close(const at::Tensor& got, const at::Tensor& want) {
  return at::allclose(got, want.to(got.scalar_type()), /*rtol=*/1e-4,
                      /*atol=*/1e-3);
}

TEST_P(MatrixProductsTest, AreThoseOfDoublePrecision) {
  const auto [m, k, n] = GetParam();
  const at::Tensor a = at::randn({m, k});
  const at::Tensor b = at::randn({k, n});
  const at::Tensor bias = at::randn({n});
  const at::Tensor matrix = at::randn({m, n});
  const at::Tensor product = at::mm(a.to(at::kDouble), b.to(at::kDouble));

  EXPECT_TRUE(Close(at::mm(a, b), product));
  EXPECT_TRUE(Close(at::mm(b.t(), a.t()), product.t()));
  EXPECT_TRUE(Close(at::mm(a.t().contiguous().t(), b), product));
  EXPECT_TRUE(Close(at::addmm(bias, a, b), product + bias));
  EXPECT_TRUE(Close(at::addmm(matrix, a, b), product + matrix));
  EXPECT_TRUE(Close(at::addmm(bias, a, b, 0.5, 2), product * 2 + bias * 0.5));
}

TEST_P(MatrixProductsTest, GiveTheSameBitsWhereverTheMatricesLie) {
  const auto [m, k, n] = GetParam();
  const at::Tensor a = at::randn({m, k});
  const at::Tensor b = at::randn({k, n});
  const at::Tensor first = at::mm(a, b);
  for (int offset = 0; offset < 4; ++offset) {
    const at::Tensor elsewhere = at::empty({k * n + offset})
                                     .narrow(0, offset, k * n)
                                     .view({k, n})
                                     .copy_(b);
    EXPECT_TRUE(at::equal(at::mm(a, elsewhere), first)) << offset;
  }
}

TEST_P(MatrixProductsTest, HaveGradients) {
  const auto [m, k, n] = GetParam();
  const auto gradients = [&](at::ScalarType type, const at::Tensor& x,
                             const at::Tensor& w, const at::Tensor& bias) {
    std::vector<at::Tensor> inputs;
    for (const at::Tensor& each : {x, w, bias}) {
      inputs.push_back(each.to(type).detach().clone().requires_grad_());
    }
    at::linear(inputs[0], inputs[1], inputs[2]).square().mean().backward();
    return std::vector<at::Tensor>{inputs[0].grad(), inputs[1].grad(),
                                   inputs[2].grad()};
  };
  const at::Tensor x = at::randn({m, k});
  const at::Tensor w = at::randn({n, k});
  const at::Tensor bias = at::randn({n});

  const auto got = gradients(at::kFloat, x, w, bias);
  const auto want = gradients(at::kDouble, x, w, bias);

  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(Close(got[i], want[i])) << i;
    EXPECT_TRUE(got[i].is_contiguous()) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, MatrixProductsTest,
                         ::testing::Values(std::tuple(60, 784, 300),
                                           std::tuple(7, 300, 129),
                                           std::tuple(60, 100, 10),
                                           std::tuple(1, 2048, 1000)));

}  // namespace
}  // namespace headstart::worker
