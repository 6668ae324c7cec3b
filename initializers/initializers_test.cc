// Widths and moments against their formulas, and what a checkpoint must fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/full.h>
#include <torch/nn/modules/container/sequential.h>

#include "initializers/classic/truncated_normal.h"
#include "initializers/own_default.h"
#include "initializers/registry.h"
#include "initializers/state_dict.h"
#include "tests/contract/initializer_contract.h"

namespace headstart::initializers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

FromCheckpointOptions Contract(std::vector<std::string> fresh_layers = {}) {
  return {.checkpoint = kContractCheckpoint,
          .fresh_layers = std::move(fresh_layers)};
}

InitializerCase CaseOf(const std::string& name,
                       const InitializerOptions& options) {
  return {name, [options] { return MakeStart(options); }};
}

INSTANTIATE_TEST_SUITE_P(
    All, InitializerContract,
    ::testing::Values(
        CaseOf("framework_default", FrameworkDefaultOptions{}),
        CaseOf("xavier_uniform", XavierOptions{}),
        CaseOf("xavier_normal",
               XavierOptions{.distribution = Distribution::kNormal}),
        CaseOf("kaiming_uniform", KaimingOptions{}),
        CaseOf("kaiming_normal",
               KaimingOptions{.distribution = Distribution::kNormal,
                              .mode = FanMode::kOut}),
        CaseOf("checkpoint", Contract()),
        CaseOf("checkpoint_fresh", Contract({"fc", "bn"}))),
    [](const auto& info) { return info.param.name; });

// Sets `model` as `options` say.
absl::StatusOr<InitializationReport> Apply(const InitializerOptions& options,
                                           torch::nn::Module& model,
                                           WeightSource& weights) {
  at::Generator generator = at::detail::createCPUGenerator(1);
  return Merged(MakeStart(options).Apply(
      model, {.generator = generator, .weights = weights}));
}

void Draw(const InitializerOptions& options, torch::nn::Module& model) {
  MemoryWeights none;
  ASSERT_OK(Apply(options, model, none));
}

// How widely a layer's weights are drawn: the bound of a uniform distribution,
// the standard deviation of a normal one.
struct Width {
  InitializerOptions options;
  Distribution distribution;
  double widths[3];  // 784 to 300, 300 to 100, 100 to 10.
};

TEST(WidthTest, AreThoseOfTheTables) {
  constexpr auto kUniform = Distribution::kUniform;
  constexpr auto kNormal = Distribution::kNormal;
  const std::vector<Width> table = {
      {FrameworkDefaultOptions{}, kUniform, {0.035714, 0.057735, 0.1}},
      {XavierOptions{.distribution = kUniform},
       kUniform,
       {0.074398, 0.122474, 0.233550}},
      {XavierOptions{.distribution = kNormal},
       kNormal,
       {0.042954, 0.070711, 0.134840}},
      {XavierOptions{.distribution = kNormal, .gain = 2},
       kNormal,
       {0.085908, 0.141422, 0.269680}},
      {KaimingOptions{.distribution = kUniform},
       kUniform,
       {0.087482, 0.141421, 0.244949}},
      {KaimingOptions{.distribution = kNormal},
       kNormal,
       {0.050508, 0.081650, 0.141421}},
      {KaimingOptions{.distribution = kUniform, .gain = 1},
       kUniform,
       {0.061859, 0.1, 0.173205}},
      {KaimingOptions{.distribution = kNormal, .gain = 1},
       kNormal,
       {0.035714, 0.057735, 0.1}},
      {KaimingOptions{
           .distribution = kNormal, .gain = 1, .mode = FanMode::kOut},
       kNormal,
       {0.057735, 0.1, 0.316228}},
  };
  for (size_t row = 0; row < table.size(); ++row) {
    auto model = std::make_shared<torch::nn::SequentialImpl>(
        torch::nn::Linear(784, 300), torch::nn::Linear(300, 100),
        torch::nn::Linear(100, 10));
    Draw(table[row].options, *model);
    for (int layer = 0; layer < 3; ++layer) {
      const at::Tensor weight =
          model->ptr<torch::nn::LinearImpl>(layer)->weight.detach();
      const double width = table[row].widths[layer];
      const double count = weight.numel();
      if (table[row].distribution == Distribution::kNormal) {
        EXPECT_NEAR(weight.std().item<double>() / width, 1,
                    4 / std::sqrt(2 * count))
            << row << " " << layer;
      } else {
        const double largest = weight.abs().max().item<double>();
        EXPECT_LE(largest, width * (1 + 1e-5)) << row << " " << layer;
        EXPECT_GT(largest, width * (1 - 20 / count)) << row << " " << layer;
      }
      // Biases keep the framework default.
      const at::Tensor bias =
          model->ptr<torch::nn::LinearImpl>(layer)->bias.detach();
      EXPECT_LE(bias.abs().max().item<double>(),
                table[0].widths[layer] * (1 + 1e-5));
      EXPECT_GT(bias.abs().max().item<double>(), 0);
    }
  }
}

// Shape (256, 128, 3, 3): fan_in 1152, fan_out 2304.
struct Moments {
  InitializerOptions options;
  Distribution distribution;
  double deviation;
  double mean = 0;
};

TEST(MomentsTest, AreThoseOfTheDistribution) {
  constexpr auto kUniform = Distribution::kUniform;
  constexpr auto kNormal = Distribution::kNormal;
  const double out = 2304;
  const double in = 1152;
  const std::vector<Moments> cases = {
      {FrameworkDefaultOptions{}, kUniform, 1 / std::sqrt(3 * in)},
      {XavierOptions{.distribution = kUniform}, kUniform,
       std::sqrt(2 / (in + out))},
      {XavierOptions{.distribution = kNormal, .gain = 0.5}, kNormal,
       0.5 * std::sqrt(2 / (in + out))},
      {KaimingOptions{.distribution = kUniform}, kUniform, std::sqrt(2 / in)},
      {KaimingOptions{.distribution = kNormal, .mode = FanMode::kOut}, kNormal,
       std::sqrt(2 / out)},
      {NormalOptions{.mean = 0.5, .deviation = 2}, kNormal, 2, 0.5},
      {UniformOptions{}, kUniform, std::sqrt(1 / 12.), 0.5},
      {TruncatedNormalOptions{}, kNormal, 0.02},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    auto model = std::make_shared<ContractModel>();
    Draw(cases[i].options, *model);
    const at::Tensor weight = model->conv->weight.detach().to(at::kDouble);
    const double count = weight.numel();
    const double s = cases[i].deviation;
    const bool normal = cases[i].distribution == Distribution::kNormal;
    EXPECT_LT(std::abs(weight.mean().item<double>() - cases[i].mean),
              4 * s / std::sqrt(count))
        << i;
    EXPECT_LT(std::abs(weight.var().item<double>() / (s * s) - 1),
              4 * std::sqrt((normal ? 2 : 0.8) / count))
        << i;
    if (!normal) {
      EXPECT_LE((weight - cases[i].mean).abs().max().item<double>(),
                std::sqrt(3.0) * s * (1 + 1e-6))
          << i;
    }
  }
}

TEST(TruncatedNormalTest, HasTheDeviationThatItsCutsLeave) {
  struct Case {
    TruncatedNormalOptions options;
    double ratio;  // Of the deviation to the one before the cuts.
  };
  for (const Case& each : {Case{{.deviation = 0.02, .cut = 2}, 1},
                           Case{{.deviation = 0.5, .cut = 1.5}, 0.986578},
                           Case{{.deviation = 1, .cut = 2}, 0.879626},
                           Case{{.deviation = 3, .cut = 3}, 0.539560}}) {
    at::Generator generator = at::detail::createCPUGenerator(1);
    const at::Tensor draws = at::full({1'000'000}, 9.f);

    FillTruncatedNormal(draws, each.options, generator);

    const double deviation = draws.std().item<double>();
    EXPECT_NEAR(deviation / each.options.deviation, each.ratio, 0.005);
    EXPECT_LE(draws.abs().max().item<double>(), each.options.cut);
    EXPECT_NEAR(draws.mean().item<double>() / deviation, 0, 0.005);
  }
}

TEST(FrameworkDefaultTest, SetsNormsAndBuffersToTheirConstants) {
  auto model = std::make_shared<ContractModel>();
  {
    const at::NoGradGuard no_grad;
    for (const NamedTensor& each : StateDict(*model)) each.tensor.fill_(9);
  }

  Draw(FrameworkDefaultOptions{}, *model);

  EXPECT_TRUE(model->bn->weight.eq(1).all().item<bool>());
  EXPECT_TRUE(model->bn->bias.eq(0).all().item<bool>());
  EXPECT_TRUE(model->bn->running_mean.eq(0).all().item<bool>());
  EXPECT_TRUE(model->bn->running_var.eq(1).all().item<bool>());
  EXPECT_EQ(model->bn->num_batches_tracked.item<int64_t>(), 0);
}

TEST(FrameworkDefaultTest, RefusesALayerItHasNoRuleFor) {
  class Odd final : public torch::nn::Module {
   public:
    Odd() { register_parameter("temperature", at::full({1}, 3.f)); }
  };
  auto model = std::make_shared<torch::nn::SequentialImpl>(
      torch::nn::Linear(2, 2), torch::nn::Linear(2, 2));
  model->register_module("odd", std::make_shared<Odd>());
  const at::Tensor before =
      model->ptr<torch::nn::LinearImpl>(0)->weight.detach().clone();
  MemoryWeights none;

  EXPECT_THAT(Apply(FrameworkDefaultOptions{}, *model, none),
              StatusIs(absl::StatusCode::kFailedPrecondition, "\"odd\""));
  EXPECT_TRUE(at::equal(model->ptr<torch::nn::LinearImpl>(0)->weight, before));
}

// A layer with a scale of its own, which it also makes twice as wide.
class OwnLayer final : public torch::nn::Module, public OwnDefault {
 public:
  OwnLayer()
      : linear(register_module("linear", torch::nn::Linear(100, 50))),
        layer_scale(
            register_parameter("layer_scale", at::full({50, 1, 1}, 9.f))),
        index(register_buffer("index", at::full({3}, 9))) {}

  void InitializeOwn(at::Generator& generator) override {
    layer_scale.fill_(1e-6);
    index.fill_(3);
    linear->weight.uniform_(-0.2, 0.2, generator);
    linear->bias.zero_();
  }
  bool DrawsItself(const at::Tensor& weight) const override {
    return weight.is_same(linear->weight);
  }

  torch::nn::Linear linear;
  at::Tensor layer_scale;
  at::Tensor index;
};

// Sees what its layer has set.
class OwnModel final : public torch::nn::Module, public OwnDefault {
 public:
  OwnModel() : layer(register_module("layer", std::make_shared<OwnLayer>())) {}

  void InitializeOwn(at::Generator&) override { layer->linear->bias += 1; }

  std::shared_ptr<OwnLayer> layer;
};

TEST(FrameworkDefaultTest, AsksModulesForTheirOwnChildrenFirst) {
  auto model = std::make_shared<OwnModel>();

  Draw(FrameworkDefaultOptions{}, *model);

  EXPECT_TRUE(model->layer->layer_scale.eq(1e-6f).all().item<bool>());
  EXPECT_TRUE(model->layer->index.eq(3).all().item<bool>());
  EXPECT_TRUE(model->layer->linear->bias.eq(1).all().item<bool>());
  EXPECT_GT(model->layer->linear->weight.abs().max().item<double>(), 0.19);
}

TEST(FrameworkDefaultTest, DrawsOnceWhatAModuleDrawsItself) {
  auto model = std::make_shared<OwnModel>();
  MemoryWeights none;

  ASSERT_OK_AND_ASSIGN(const InitializationReport report,
                       Apply(FrameworkDefaultOptions{}, *model, none));

  // Apply's seed: the bias comes first, the weight's draw behind it.
  at::Generator generator = at::detail::createCPUGenerator(1);
  at::full({50}, 0.f).uniform_(-0.1, 0.1, generator);
  EXPECT_TRUE(model->layer->linear->weight.equal(
      at::full({50, 100}, 0.f).uniform_(-0.2, 0.2, generator)));
  EXPECT_THAT(report.drawn_names,
              ElementsAre("layer.linear.weight", "layer.linear.bias"));
}

TEST(ScaledWeightsTest, DrawsOnlyTheWeightsOfLayers) {
  // Uniform, of 100 to 50.
  const std::pair<InitializerOptions, double> cases[] = {
      {XavierOptions{.gain = 2}, 2 * std::sqrt(6 / 150.)},
      {KaimingOptions{}, std::sqrt(6 / 100.)},
  };
  for (const auto& [options, width] : cases) {
    auto model = std::make_shared<OwnModel>();

    Draw(options, *model);

    EXPECT_TRUE(model->layer->layer_scale.eq(1e-6f).all().item<bool>());
    EXPECT_TRUE(model->layer->linear->bias.eq(1).all().item<bool>());
    EXPECT_NEAR(model->layer->linear->weight.abs().max().item<double>() / width,
                1, 0.01);
  }
}

TEST(StateDictTest, ListsTensorsInRegistrationOrder) {
  auto model = std::make_shared<ContractModel>();

  std::vector<std::string> names;
  for (const NamedTensor& each : StateDict(*model)) names.push_back(each.name);

  EXPECT_THAT(names,
              ElementsAre("conv.weight", "bn.weight", "bn.bias",
                          "bn.running_mean", "bn.running_var",
                          "bn.num_batches_tracked", "fc.weight", "fc.bias"));
}

// A model whose tensors are told from every draw, and its weights in a source.
class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    const at::NoGradGuard no_grad;
    double value = 100;
    for (const NamedTensor& each : StateDict(*trained_)) {
      each.tensor.fill_(value++);
    }
    weights_.Keep(kContractCheckpoint, *trained_);
  }

  std::shared_ptr<ContractModel> trained_ = std::make_shared<ContractModel>();
  MemoryWeights weights_;
};

TEST_F(CheckpointTest, LoadsParametersAndBuffers) {
  auto model = std::make_shared<ContractModel>();

  ASSERT_OK_AND_ASSIGN(const InitializationReport report,
                       Apply(Contract(), *model, weights_));

  EXPECT_EQ(report.loaded_tensors, 8);
  EXPECT_THAT(report.drawn_names, IsEmpty());
  const auto wanted = StateDict(*trained_);
  const auto found = StateDict(*model);
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_TRUE(at::equal(found[i].tensor, wanted[i].tensor)) << found[i].name;
  }
}

TEST_F(CheckpointTest, KeepsTheDefaultInFreshLayers) {
  auto model = std::make_shared<ContractModel>(/*classes=*/100);

  ASSERT_OK_AND_ASSIGN(const InitializationReport report,
                       Apply(Contract({"fc"}), *model, weights_));

  EXPECT_EQ(report.loaded_tensors, 6);
  EXPECT_THAT(report.drawn_names, ElementsAre("fc.weight", "fc.bias"));
  EXPECT_TRUE(at::equal(model->conv->weight, trained_->conv->weight));
  EXPECT_LE(model->fc->weight.abs().max().item<double>(), 1 / 16.0);
  EXPECT_GT(model->fc->weight.abs().max().item<double>(), 0);
}

TEST_F(CheckpointTest, NamesALayerThatIsNotThere) {
  auto model = std::make_shared<ContractModel>();

  EXPECT_THAT(Apply(Contract({"f"}), *model, weights_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "checkpoint.fresh_layers: the model has no layer \"f\"; "
                       "its layers are conv, bn, fc."));
}

TEST_F(CheckpointTest, NamesACheckpointThatDidNotCome) {
  auto model = std::make_shared<ContractModel>();

  EXPECT_THAT(Apply(FromCheckpointOptions{.checkpoint = "studies/9/trials/9"},
                    *model, weights_),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(CheckpointTest, NamesEachKindOfMismatchAndWritesNothing) {
  auto model = std::make_shared<ContractModel>(/*classes=*/100);
  Draw(FrameworkDefaultOptions{}, *model);
  const at::Tensor before = model->conv->weight.detach().clone();
  weights_.stored()[1].name = "norm.weight";
  weights_.stored()[2].dtype = DType::kF16;

  const absl::Status status = Apply(Contract(), *model, weights_).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr("studies/1/trials/1/epochs/1 does not fit"));
  EXPECT_THAT(message,
              HasSubstr("fc.weight is F32 [10, 256] there and F32 [100, 256] "
                        "here"));
  EXPECT_THAT(message, HasSubstr("bn.bias is F16 [256] there"));
  EXPECT_THAT(message, HasSubstr("It lacks bn.weight."));
  EXPECT_THAT(message, HasSubstr("does not know its norm.weight."));
  EXPECT_THAT(message, HasSubstr("in fresh_layers"));
  EXPECT_TRUE(at::equal(model->conv->weight, before));
}

TEST_F(CheckpointTest, CountsMismatchesBeyondTheThird) {
  auto model = std::make_shared<ContractModel>();
  for (StoredTensor& stored : weights_.stored()) stored.name += "_old";

  const absl::Status status = Apply(Contract(), *model, weights_).status();

  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr("It lacks conv.weight, bn.weight, bn.bias and "
                                 "5 more."));
  EXPECT_THAT(message, Not(HasSubstr("fc.bias")));
}

}  // namespace
}  // namespace headstart::initializers
