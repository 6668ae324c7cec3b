// The kernels against the same formulas, number by number and one operation
// after another, bit for bit.
#include "worker/training/step_kernels.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/random_stream.h"

namespace headstart::worker {
namespace {

constexpr int64_t kCount = 1'037;  // No multiple of any vector.

template <typename T>
struct Numbers {
  Numbers() : gradient(kCount) {
    RandomStream stream(1);
    const auto draw = [&] { return static_cast<T>(4 * stream.Uniform() - 2); };
    for (int64_t i = 0; i < kCount; ++i) {
      weight[i] = draw();
      gradient[i] = draw() * std::pow(T{10}, i % 9 - 5);
      first[i] = draw();
      second[i] = std::abs(draw());
    }
    // Everything on the edge of what is finite.
    gradient[3] = 0;
    second[3] = 0;
    gradient[5] = std::numeric_limits<T>::denorm_min();
    gradient[7] = std::numeric_limits<T>::max() / 1e6;
  }

  StepRun<T> Run(Numbers& out, bool has_first, bool has_second) {
    return {.count = kCount,
            .gradient = gradient.data(),
            .weight = weight.data(),
            .first = has_first ? first.data() : nullptr,
            .second = has_second ? second.data() : nullptr,
            .weight_out = out.weight.data(),
            .first_out = has_first ? out.first.data() : nullptr,
            .second_out = has_second ? out.second.data() : nullptr};
  }

  bool operator==(const Numbers& other) const {
    return std::memcmp(&weight, &other.weight, sizeof(weight)) == 0 &&
           std::memcmp(&first, &other.first, sizeof(first)) == 0 &&
           std::memcmp(&second, &other.second, sizeof(second)) == 0;
  }

  // As slabs have them.
  alignas(64) std::array<T, kCount> weight;
  alignas(64) std::array<T, kCount> first;
  alignas(64) std::array<T, kCount> second;
  std::vector<T> gradient;
};

template <typename T>
class StepKernelTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(StepKernelTest, Types);

// Keeps the compiler from fusing or reordering.
template <typename T>
T Rounded(T value) {
  volatile T rounded = value;
  return rounded;
}

template <typename T>
void ScalarSgd(const SgdTerms<T>& t, bool momentum, Numbers<T>& n) {
  for (int64_t i = 0; i < kCount; ++i) {
    const T g = Rounded(t.gradient_scale * n.gradient[i]) +
                Rounded(t.weight_decay * n.weight[i]);
    T change = g;
    if (momentum) {
      n.first[i] = Rounded(t.momentum * n.first[i]) + g;
      change = t.nesterov ? g + Rounded(t.momentum * n.first[i]) : n.first[i];
    }
    n.weight[i] -= Rounded(t.rate * change);
  }
}

template <typename T>
void ScalarAdam(const AdamTerms<T>& t, Numbers<T>& n) {
  for (int64_t i = 0; i < kCount; ++i) {
    const T g = Rounded(t.gradient_scale * n.gradient[i]) +
                Rounded(t.added_decay * n.weight[i]);
    n.first[i] += Rounded(Rounded(g - n.first[i]) * t.one_minus_beta1);
    n.second[i] = Rounded(t.beta2 * n.second[i]) +
                  Rounded(Rounded(t.one_minus_beta2 * g) * g);
    const T root = Rounded(std::sqrt(n.second[i]) * t.inverse_root);
    const T change = Rounded(t.rate * n.first[i]) / (root + t.epsilon);
    n.weight[i] = Rounded(n.weight[i] * t.kept) - Rounded(change);
  }
}

TYPED_TEST(StepKernelTest, SgdIsTheScalarOne) {
  for (const bool momentum : {false, true}) {
    for (const bool nesterov : {false, true}) {
      const SgdTerms<TypeParam> terms = {.rate = 0.05,
                                         .momentum = 0.9,
                                         .weight_decay = 0.01,
                                         .gradient_scale = 0.7,
                                         .nesterov = nesterov};
      Numbers<TypeParam> expected, in_place, from, to, streamed;
      ScalarSgd(terms, momentum, expected);
      StepKernel(terms, in_place.Run(in_place, momentum, false),
                 StepWrite::kCached);
      StepKernel(terms, from.Run(to, momentum, false), StepWrite::kCached);
      StepKernel(terms, from.Run(streamed, momentum, false),
                 StepWrite::kStreaming);

      EXPECT_TRUE(in_place == expected);
      EXPECT_TRUE(to == expected);
      EXPECT_TRUE(streamed == expected);
      EXPECT_TRUE(from == Numbers<TypeParam>());
    }
  }
}

TYPED_TEST(StepKernelTest, AdamIsTheScalarOne) {
  const AdamTerms<TypeParam> terms = {.rate = 0.01,
                                      .inverse_root = 1.7,
                                      .one_minus_beta1 = 0.1,
                                      .beta2 = 0.999,
                                      .one_minus_beta2 = 0.001,
                                      .epsilon = 1e-8,
                                      .added_decay = 0.01,
                                      .kept = 0.99,
                                      .gradient_scale = 0.7};
  Numbers<TypeParam> expected, in_place, from, to, streamed;
  ScalarAdam(terms, expected);
  StepKernel(terms, in_place.Run(in_place, true, true), StepWrite::kCached);
  StepKernel(terms, from.Run(to, true, true), StepWrite::kCached);
  StepKernel(terms, from.Run(streamed, true, true), StepWrite::kStreaming);

  EXPECT_TRUE(in_place == expected);
  EXPECT_TRUE(to == expected);
  EXPECT_TRUE(streamed == expected);
  EXPECT_TRUE(from == Numbers<TypeParam>());
}

}  // namespace
}  // namespace headstart::worker
