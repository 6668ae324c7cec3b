// Rules for weights: their values, the layers that they reach, their order.
#include "initializers/classic/weight_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>

#include "initializers/registry.h"
#include "tests/contract/initializer_contract.h"

namespace headstart::initializers {
namespace {

using ::testing::ElementsAre;

InitializerCase CaseOf(const std::string& name,
                       const InitializerOptions& options) {
  return {name, [options] { return MakeStart(options); }};
}

INSTANTIATE_TEST_SUITE_P(
    Rules, InitializerContract,
    ::testing::Values(
        CaseOf("orthogonal", OrthogonalOptions{.gain = 0.5}),
        CaseOf("truncated_normal", TruncatedNormalOptions{.cut = 0.03}),
        CaseOf("normal", NormalOptions{}), CaseOf("uniform", UniformOptions{}),
        CaseOf("for_layers",
               ForLayersOptions{.rule = OrthogonalOptions{},
                                .filter = {.names = {"fc"}, .kind = {}}})),
    [](const auto& info) { return info.param.name; });

at::Tensor Orthogonal(at::IntArrayRef shape, double gain = 1) {
  at::Generator generator = at::detail::createCPUGenerator(1);
  const at::Tensor weight = at::empty(shape);
  FillWeight(OrthogonalOptions{.gain = gain}, weight, generator);
  return weight;
}

TEST(OrthogonalTest, HasOrthogonalRowsOrColumns) {
  const std::vector<std::vector<int64_t>> shapes = {
      {10, 10}, {100, 300}, {300, 100}, {64, 3, 7, 7}, {512, 64, 3, 3}};
  for (const auto& shape : shapes) {
    for (const double gain : {1.0, 0.5}) {
      const at::Tensor weight = Orthogonal(shape, gain).to(at::kDouble);
      const at::Tensor matrix = weight.reshape({shape[0], -1});
      const int64_t rows = matrix.size(0), columns = matrix.size(1);
      const at::Tensor product = rows <= columns
                                     ? at::matmul(matrix, matrix.t())
                                     : at::matmul(matrix.t(), matrix);
      const at::Tensor one =
          at::eye(std::min(rows, columns), product.options()) * gain * gain;
      EXPECT_LT((product - one).abs().max().item<double>(), 1e-5);
      const double rms = std::sqrt(weight.square().mean().item<double>());
      EXPECT_NEAR(
          rms,
          gain * std::sqrt(static_cast<double>(std::min(rows, columns)) /
                           (rows * columns)),
          1e-6);
    }
  }
}

// torch.nn.init.orthogonal_ of torch 2.11 with
// torch.Generator().manual_seed(1).
TEST(OrthogonalTest, IsTorchs) {
  const at::Tensor wide =
      at::tensor({0.6298039, 0.2541911, 0.0587351, 0.5916788, -0.4303488,
                  0.2021227, -0.7363055, 0.2420005, -0.2997776, -0.5182372,
                  -0.0660679, 0.5379764, -0.2412835, -0.558497, -0.5797242});
  const at::Tensor high = at::tensor(
      {-0.8541156, -0.0806168, 0.0963985,  -0.2840699, -0.0560793, -0.2484547,
       -0.3218935, -0.5092167, 0.2458565,  0.4380417,  0.5237456,  -0.1779492,
       0.0780281,  -0.7078966, 0.0793195,  0.4768102,  -0.4470122, 0.2741198,
       0.2108102,  0.5730779,  -0.0314302, 0.404514,   -0.7497001, 0.2693885});
  EXPECT_LT((Orthogonal({3, 5}).flatten() - wide).abs().max().item<double>(),
            1e-6);
  EXPECT_LT((Orthogonal({6, 4}).flatten() - high).abs().max().item<double>(),
            1e-6);
}

TEST(OrthogonalTest, TakesAnEmptyWeight) {
  EXPECT_EQ(Orthogonal({0, 5}).numel(), 0);
}

TEST(PatternTest, StarsStandForAnyCharacters) {
  for (const auto& [text, pattern] :
       std::vector<std::pair<std::string, std::string>>{
           {"fc", "fc"},
           {"", "*"},
           {"layer1.0.conv1", "layer1.*"},
           {"layer1.0.conv1", "*conv1"},
           {"layer1.0.conv1", "l*.*1"},
           {"aab", "*ab"},
           {"abcabc", "*abc"},
       }) {
    EXPECT_TRUE(MatchesPattern(text, pattern)) << text << " " << pattern;
  }
  for (const auto& [text, pattern] :
       std::vector<std::pair<std::string, std::string>>{
           {"fc", ""},
           {"", "fc"},
           {"fc1", "fc"},
           {"layer11.0", "layer1.*"},
           {"aab", "*a"},
       }) {
    EXPECT_FALSE(MatchesPattern(text, pattern)) << text << " " << pattern;
  }
}

// The contract's model after these, with its three tensors of layers.
class ChainTest : public ::testing::Test {
 protected:
  absl::StatusOr<InitializationReport> Apply(
      const InitializerOptions& options) {
    at::Generator generator = at::detail::createCPUGenerator(1);
    return Merged(MakeStart(options).Apply(
        *model_, {.generator = generator, .weights = none_}));
  }
  static double Spread(const at::Tensor& tensor) {
    return (tensor.max() - tensor.min()).item<double>();
  }

  MemoryWeights none_;
  const std::shared_ptr<ContractModel> model_ =
      std::make_shared<ContractModel>();
};

TEST_F(ChainTest, EachStepKeepsWhatItDoesNotSet) {
  ChainOptions chain;
  chain.steps = {
      ConstantOptions{.value = 3},
      ForLayersOptions{.rule = ConstantOptions{.value = 4},
                       .filter = {.names = {}, .kind = LayerKind::kLinear}}};
  ASSERT_OK_AND_ASSIGN(const InitializationReport report, Apply(chain));

  EXPECT_TRUE(model_->conv->weight.eq(3).all().item<bool>());
  EXPECT_TRUE(model_->fc->weight.eq(4).all().item<bool>());
  EXPECT_TRUE(model_->bn->weight.eq(1).all().item<bool>());
  // The framework default's.
  EXPECT_GT(Spread(model_->fc->bias), 0);
  EXPECT_THAT(report.drawn_names,
              ElementsAre("conv.weight", "fc.weight", "fc.bias"));
}

TEST_F(ChainTest, ReachesLayersByName) {
  ASSERT_OK(Apply(ForLayersOptions{.rule = ConstantOptions{.value = 5},
                                   .filter = {.names = {"c*"}, .kind = {}}}));
  EXPECT_TRUE(model_->conv->weight.eq(5).all().item<bool>());
  EXPECT_GT(Spread(model_->fc->weight), 0);

  EXPECT_THAT(
      Apply(ForLayersOptions{.rule = ConstantOptions{},
                             .filter = {.names = {"bn"}, .kind = {}}}),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               "the model has no layer \"bn\" with a weight; the first is "
               "conv"));
}

TEST_F(ChainTest, UniformAndNormalDoNotDependOnTheLayer) {
  ASSERT_OK(Apply(UniformOptions{}));
  EXPECT_GE(model_->conv->weight.min().item<double>(), 0);
  EXPECT_NEAR(model_->conv->weight.mean().item<double>(), 0.5, 0.005);
  EXPECT_LE(model_->conv->weight.max().item<double>(), 1);

  ASSERT_OK(Apply(NormalOptions{.mean = 2, .deviation = 3}));
  EXPECT_NEAR(model_->conv->weight.mean().item<double>(), 2, 0.03);
  EXPECT_NEAR(model_->conv->weight.std().item<double>(), 3, 0.03);
}

TEST_F(ChainTest, ZeroInitResidualNeedsABranch) {
  EXPECT_THAT(Apply(ZeroInitResidualOptions{}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "the model has no residual branch"));
}

}  // namespace
}  // namespace headstart::initializers
