#include "initializers/predicted/conditional_orthogonal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/corrcoef.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>

#include "initializers/classic/framework_default.h"
#include "initializers/classic/orthogonal.h"
#include "initializers/state_dict.h"
#include "tests/contract/no_weights.h"
#include "tests/support/status_matchers.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"

namespace headstart::initializers {
namespace {

using ::testing::DoubleNear;
using ::testing::Pointwise;

at::Tensor Draws(at::IntArrayRef shape, uint64_t seed = 1) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::empty(shape, at::kDouble).normal_(0, 1, generator);
}

std::vector<double> Values(const at::Tensor& x) {
  const at::Tensor flat = x.to(at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(),
          flat.const_data_ptr<double>() + flat.numel()};
}

TEST(CorrelationDeviationTest, HasTheWorkedValues) {
  const at::Tensor two =
      at::tensor({1., 2., 4., 3., 2., 1., 3., 5.}).view({2, 4});
  const at::Tensor three =
      at::tensor({1., 2., 4., 3., 2., 1., 3., 5., 0., 1., -1., 2.})
          .view({3, 2, 1, 2});

  EXPECT_NEAR(CorrelationDeviation(two, NoiseMode::kPaper), 0.2718452, 1e-7);
  EXPECT_NEAR(CorrelationDeviation(two, NoiseMode::kCode), 1.0327956, 1e-7);
  EXPECT_NEAR(CorrelationDeviation(three, NoiseMode::kPaper), 0.4691305, 1e-7);
  EXPECT_NEAR(CorrelationDeviation(three, NoiseMode::kCode), 0.4436195, 1e-7);
}

TEST(CorrelationDeviationTest, IsThatOfAllCorrelations) {
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{6, 20}, {20, 6}, {7, 3, 3, 3}}) {
    const at::Tensor weight = Draws(shape);
    const at::Tensor matrix = weight.flatten(1);
    const bool wide = matrix.size(0) < matrix.size(1);

    EXPECT_NEAR(CorrelationDeviation(weight, NoiseMode::kPaper),
                at::corrcoef(matrix).std().item<double>(), 1e-12);
    EXPECT_NEAR(CorrelationDeviation(weight, NoiseMode::kCode),
                at::corrcoef(wide ? matrix.t() : matrix).std().item<double>(),
                1e-12);
  }
}

TEST(CorrelationDeviationTest, IsFiniteWhereThereAreNoCorrelations) {
  // One column: every row is constant. One entry: nothing to compare.
  EXPECT_EQ(CorrelationDeviation(Draws({8, 1, 1, 1}), NoiseMode::kCode), 0);
  EXPECT_EQ(CorrelationDeviation(Draws({1, 1}), NoiseMode::kCode), 0);
  EXPECT_EQ(CorrelationDeviation(Draws({1, 9}), NoiseMode::kPaper), 0);

  // A constant row's correlations count as 0, its own too. The others are 1
  // with themselves and -1 with one another.
  const at::Tensor weight = at::tensor({1., 2., .3, .3, 5., 4.}).view({3, 2});
  EXPECT_NEAR(CorrelationDeviation(weight, NoiseMode::kCode), std::sqrt(4. / 8),
              1e-7);
}

TEST(OrthogonalFactorTest, HasTheWorkedValues) {
  const at::Tensor wide =
      OrthogonalFactor(at::tensor({1., 2., 2., 2., 0., 1.}).view({2, 3}));
  const at::Tensor tall =
      OrthogonalFactor(at::tensor({1., 1., 0., 1., 0., 1.}).view({3, 2}));

  EXPECT_THAT(Values(wide),
              Pointwise(DoubleNear(1e-6), {0.333333, 0.666667, 0.666667,
                                           0.866578, -0.495188, 0.061898}));
  EXPECT_THAT(Values(tall),
              Pointwise(DoubleNear(1e-6), {1., 0., 0., .707107, 0., .707107}));
}

TEST(OrthogonalFactorTest, KeepsOrthogonalWeightsAndTheFirstDirection) {
  const at::Tensor weight = Draws({6, 4, 3, 3});
  const at::Tensor once = OrthogonalFactor(weight);
  const at::Tensor rows = once.flatten(1);

  EXPECT_LT(
      (rows.mm(rows.t()) - at::eye(6, at::kDouble)).abs().max().item<double>(),
      1e-14);
  EXPECT_LT((OrthogonalFactor(once) - once).abs().max().item<double>(), 1e-14);
  EXPECT_LT((once[0] - weight[0] / weight[0].norm()).abs().max().item<double>(),
            1e-14);
}

TEST(OrthogonalFactorTest, IsFullEvenOfEqualChannels) {
  const at::Tensor rows = OrthogonalFactor(at::ones({3, 5}, at::kDouble));

  EXPECT_LT(
      (rows.mm(rows.t()) - at::eye(3, at::kDouble)).abs().max().item<double>(),
      1e-14);
}

TEST(OrthogonalFactorTest, HasTheKnownSize) {
  // sqrt(min(K, CHW) / (K CHW))
  const at::Tensor depthwise = OrthogonalFactor(Draws({512, 1, 7, 7}));

  EXPECT_NEAR(std::sqrt(depthwise.square().mean().item<double>()), 0.044194,
              1e-6);
}

std::shared_ptr<worker::Model> Make(const char* name, const char* options,
                                    int64_t side) {
  return worker::MakeModel(
             {.name = name, .options_json = options},
             {.channels = 3, .height = side, .width = side, .classes = 10})
      .value();
}

int64_t Processed(const std::vector<NamedTensor>& weights, size_t first_layer) {
  int64_t count = 0;
  for (size_t i = first_layer - 1; i + 1 < weights.size(); ++i) {
    count += weights[i].tensor.numel();
  }
  return count;
}

TEST(LayerWeightsTest, CountsThemAsThePublishedRecipesDo) {
  const auto resnet = Make("resnet50", R"({"stem": "SMALL_IMAGES"})", 32);
  const std::vector<NamedTensor> of_resnet = LayerWeights(*resnet);
  ASSERT_EQ(of_resnet.size(), 54u);
  EXPECT_EQ(of_resnet[37 - 1].name, "layer3.3.conv3.weight");
  EXPECT_EQ(Processed(of_resnet, 37), 17'432'576);

  const auto convnext =
      Make("convnext_base",
           R"({"stem": "SMALL_IMAGES", "stochastic_depth": 0})", 32);
  const std::vector<NamedTensor> of_convnext = LayerWeights(*convnext);
  ASSERT_EQ(of_convnext.size(), 113u);
  EXPECT_EQ(of_convnext[94 - 1].name, "features.5.24.block.0.weight");
  EXPECT_EQ(Processed(of_convnext, 94), 33'780'224);
}

class ConditionalOrthogonalTest : public ::testing::Test {
 protected:
  ConditionalOrthogonalTest() {
    const absl::StatusOr<InitializationReport> drawn =
        FrameworkDefault().Apply(*model_, inputs_);
    EXPECT_OK(drawn);
    for (const NamedTensor& each : StateDict(*model_)) {
      before_.push_back(each.tensor.clone());
    }
  }

  absl::Status Apply(const ConditionalOrthogonalOptions& options) {
    return ConditionalOrthogonal(options).Apply(*model_, inputs_).status();
  }

  // Names of tensors that have other values now.
  std::vector<std::string> Changed() {
    std::vector<std::string> changed;
    size_t i = 0;
    for (const NamedTensor& each : StateDict(*model_)) {
      if (!each.tensor.equal(before_[i++])) changed.push_back(each.name);
    }
    return changed;
  }

  std::vector<std::string> WeightNames(size_t first_layer) {
    std::vector<std::string> names;
    const std::vector<NamedTensor> weights = LayerWeights(*model_);
    for (size_t i = first_layer - 1; i + 1 < weights.size(); ++i) {
      names.push_back(weights[i].name);
    }
    return names;
  }

  const std::shared_ptr<worker::Model> model_ = Make("small_cnn", "{}", 32);
  at::Generator generator_ = at::detail::createCPUGenerator(7);
  NoWeights no_weights_;
  const InitializerInputs inputs_ = {.generator = generator_,
                                     .weights = no_weights_};
  std::vector<at::Tensor> before_;
};

TEST_F(ConditionalOrthogonalTest, ChangesWeightsFromTheFirstLayerOn) {
  ASSERT_OK(Apply({.first_layer = 2}));

  EXPECT_EQ(Changed(), WeightNames(2));
  for (const NamedTensor& each : LayerWeights(*model_)) {
    if (each.name != WeightNames(2).front()) continue;
    const at::Tensor rows = each.tensor.to(at::kDouble).flatten(1);
    const at::Tensor gram =
        rows.size(0) < rows.size(1) ? rows.mm(rows.t()) : rows.t().mm(rows);
    EXPECT_LT(
        (gram - at::eye(gram.size(0), at::kDouble)).abs().max().item<double>(),
        1e-5);
  }
}

TEST_F(ConditionalOrthogonalTest, ThePapersNoiseReachesEarlierLayers) {
  ASSERT_OK(Apply({.first_layer = 2, .mode = NoiseMode::kPaper}));

  EXPECT_EQ(Changed(), WeightNames(1));
  // A touch: the first layer only got noise.
  const at::Tensor now = LayerWeights(*model_).front().tensor;
  EXPECT_LT((now - before_.front()).abs().max().item<double>(), 1e-3);
}

TEST_F(ConditionalOrthogonalTest, WithoutNoiseNothingIsDrawn) {
  const at::Tensor state = generator_.get_state();

  ASSERT_OK(Apply({.noise = 0}));

  EXPECT_TRUE(generator_.get_state().equal(state));
  EXPECT_EQ(Changed(), WeightNames(1));
}

TEST_F(ConditionalOrthogonalTest, RefusesALayerPastTheEnd) {
  const auto count = static_cast<int64_t>(LayerWeights(*model_).size());

  EXPECT_OK(Apply({.first_layer = count - 1}));
  EXPECT_THAT(Apply({.first_layer = count}),
              StatusIs(absl::StatusCode::kFailedPrecondition, "first_layer"));
}

}  // namespace
}  // namespace headstart::initializers
