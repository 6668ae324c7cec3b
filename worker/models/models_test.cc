#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>

#include "initializers/blocks.h"
#include "initializers/registry.h"
#include "initializers/state_dict.h"
#include "tests/contract/known_models.h"
#include "tests/contract/no_weights.h"
#include "tests/support/status_matchers.h"
#include "worker/models/model.h"
#include "worker/models/precision.h"
#include "worker/models/registry.h"
#include "worker/models/stochastic_depth.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::UnorderedElementsAreArray;

constexpr ModelShape kMnist = {
    .channels = 1, .height = 28, .width = 28, .classes = 10};
constexpr ModelShape Shape(int64_t side, int64_t classes) {
  return {.channels = 3, .height = side, .width = side, .classes = classes};
}
constexpr ModelShape kCifar10 = {
    .channels = 3, .height = 32, .width = 32, .classes = 10};

int64_t ParameterCount(const Model& model) {
  int64_t count = 0;
  for (const at::Tensor& parameter : model.parameters()) {
    count += parameter.numel();
  }
  return count;
}

std::vector<std::string> ParameterNames(const Model& model) {
  return model.named_parameters().keys();
}

absl::StatusOr<std::shared_ptr<Model>> Make(const KnownModel& known) {
  return MakeModel(known.spec(), known.shape());
}

class ModelSizeTest : public ::testing::TestWithParam<KnownModel> {};

TEST_P(ModelSizeTest, IsTheKnownOne) {
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model, Make(GetParam()));

  EXPECT_EQ(ParameterCount(*model), GetParam().parameters);
  EXPECT_EQ(model->parameters().size(), GetParam().parameter_tensors);
  EXPECT_EQ(model->buffers().size(), GetParam().buffer_tensors);
}

INSTANTIATE_TEST_SUITE_P(All, ModelSizeTest, ::testing::ValuesIn(kKnownModels));

// Any values will do, but what memory happens to hold may be slow ones.
void FillParameters(const Model& model) {
  const at::NoGradGuard no_grad;
  for (const at::Tensor& tensor : model.parameters()) {
    tensor.uniform_(-0.05, 0.05);
  }
}

std::vector<const void*> Memory(const std::vector<at::Tensor>& tensors) {
  std::vector<const void*> memory;
  for (const at::Tensor& tensor : tensors) {
    memory.push_back(tensor.const_data_ptr());
  }
  return memory;
}

class ModelsTest : public ::testing::TestWithParam<KnownModel> {
 protected:
  // Tests run side by side, and on a busy machine threads that wait for one
  // another wait for minutes.
  static void SetUpTestSuite() { at::set_num_threads(1); }
};

TEST_P(ModelsTest, TrainsForAStep) {
  const ModelShape shape = GetParam().shape();
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model, Make(GetParam()));
  FillParameters(*model);
  // A snapshot holds on to the tensors of the first day: training must change
  // them in place, the counter of batch norm among them.
  const std::vector<const void*> memory = Memory(model->buffers());

  const TrainingOutput output = model->ForwardTraining(
      at::randn({2, shape.channels, shape.height, shape.width}));

  EXPECT_EQ(Memory(model->buffers()), memory);
  for (const auto& buffer : model->named_buffers()) {
    if (buffer.key().ends_with("num_batches_tracked")) {
      EXPECT_EQ(buffer.value().item<int64_t>(), 1) << buffer.key();
    }
  }
  EXPECT_THAT(output.logits.sizes(), ElementsAre(2, shape.classes));
  at::Tensor sum = output.logits.square().sum();
  if (output.auxiliary_logits.defined()) {
    EXPECT_THAT(output.auxiliary_logits.sizes(), ElementsAre(2, shape.classes));
    sum = sum + output.auxiliary_logits.square().sum();
  }

  sum.backward();

  for (const auto& parameter : model->named_parameters()) {
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    EXPECT_TRUE(parameter.value().grad().is_contiguous()) << parameter.key();
  }
}

TEST_P(ModelsTest, TrainsInBfloat16) {
  const ModelShape shape = GetParam().shape();
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model, Make(GetParam()));
  FillParameters(*model);
  at::Tensor logits;
  {
    const PrecisionScope scope(Precision::kBf16);
    logits = model->forward(
        at::randn({2, shape.channels, shape.height, shape.width}));
  }

  logits.sum().backward();

  EXPECT_EQ(logits.scalar_type(), at::kBFloat16);
  for (const auto& parameter : model->named_parameters()) {
    const at::Tensor& gradient = parameter.value().grad();
    // Without a loss on it, an auxiliary head has none.
    if (!gradient.defined() && parameter.key().starts_with("Aux")) continue;
    ASSERT_TRUE(gradient.defined()) << parameter.key();
    EXPECT_EQ(gradient.scalar_type(), at::kFloat) << parameter.key();
    EXPECT_TRUE(gradient.is_contiguous()) << parameter.key();
  }
  EXPECT_TRUE(model->parameters().front().grad().isfinite().all().item<bool>());
}

TEST_P(ModelsTest, KeepsWholeNumbersInDoublePrecision) {
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model, Make(GetParam()));

  SetWeightType(*model, Precision::kFp64);

  for (const at::Tensor& parameter : model->parameters()) {
    ASSERT_EQ(parameter.scalar_type(), at::kDouble);
  }
  for (const auto& buffer : model->named_buffers()) {
    const bool statistic = buffer.key().ends_with("running_mean") ||
                           buffer.key().ends_with("running_var");
    EXPECT_EQ(buffer.value().scalar_type(), statistic ? at::kDouble : at::kLong)
        << buffer.key();
  }
}

// One row of each model and options, and of options that differ only in the
// first weights.
std::vector<KnownModel> OnePerNetwork() {
  std::vector<KnownModel> found;
  for (const KnownModel& known : kKnownModels) {
    if (std::none_of(found.begin(), found.end(), [&](const KnownModel& each) {
          return each.spec().name == known.spec().name &&
                 (each.spec().options_json == known.spec().options_json ||
                  each.parameters == known.parameters);
        })) {
      found.push_back(known);
    }
  }
  return found;
}

INSTANTIATE_TEST_SUITE_P(All, ModelsTest, ::testing::ValuesIn(OnePerNetwork()));

TEST(LenetTest, HasTheNamesOfASequential) {
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeModel({.name = "lenet_300_100"}, kMnist));

  EXPECT_THAT(ParameterNames(*model),
              ElementsAre("layers.0.weight", "layers.0.bias", "layers.2.weight",
                          "layers.2.bias", "layers.4.weight", "layers.4.bias"));
}

// With slope 1 nothing is left of the activation, so outputs rise in a line.
TEST(LenetTest, HasTheSlopeThatWasAskedFor) {
  const auto bend = [](const char* options) {
    const auto model =
        MakeModel({.name = "lenet_300_100", .options_json = options}, kMnist)
            .value();
    const at::NoGradGuard no_grad;
    const auto output = [&](double scale) {
      return model->forward(at::full({1, 1, 28, 28}, scale, at::kDouble));
    };
    at::Generator generator = at::detail::createCPUGenerator(1);
    for (at::Tensor parameter : model->parameters()) {
      parameter.set_data(at::randn(parameter.sizes(), generator, at::kDouble));
    }
    return (output(1) + output(-1) - 2 * output(0)).abs().max().item<double>();
  };
  EXPECT_LT(bend(R"({"negative_slope": 1})"), 1e-6);
  EXPECT_GT(bend(R"({"negative_slope": 0.05})"), 1e-4);
  EXPECT_GT(bend("{}"), 1e-4);
  EXPECT_THAT(MakeModel({.name = "lenet_300_100",
                         .options_json = R"({"negative_slope": 2})"},
                        kMnist),
              StatusIs(absl::StatusCode::kInvalidArgument, "negative_slope"));
}

TEST(CifarResnet18Test, HasTheNamesOfItsLayout) {
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeModel({.name = "cifar_resnet18"}, kCifar10));

  std::vector<std::string> names = {"conv1.weight", "bn1.weight", "bn1.bias"};
  for (int stage = 1; stage <= 4; ++stage) {
    for (int block = 0; block < 2; ++block) {
      const std::string prefix =
          "layer" + std::to_string(stage) + "." + std::to_string(block) + ".";
      for (const char* name : {"conv1.weight", "bn1.weight", "bn1.bias",
                               "conv2.weight", "bn2.weight", "bn2.bias"}) {
        names.push_back(prefix + name);
      }
      if (stage > 1 && block == 0) {
        for (const char* name : {"0.weight", "1.weight", "1.bias"}) {
          names.push_back(prefix + "shortcut." + name);
        }
      }
    }
  }
  names.push_back("linear.weight");
  names.push_back("linear.bias");
  EXPECT_THAT(ParameterNames(*model), ElementsAreArray(names));
}

TEST(RegistryTest, ListsTheKnownModels) {
  std::set<std::string> known;
  for (const KnownModel& each : kKnownModels) known.insert(each.name);

  EXPECT_THAT(ModelNames(), UnorderedElementsAreArray(known));
  EXPECT_THAT(MakeModel({.name = "lenet_5"}, kMnist),
              StatusIs(absl::StatusCode::kNotFound, "small_cnn"));
}

TEST(RegistryTest, RefusesOptionsThatAModelDoesNotHave) {
  EXPECT_THAT(
      MakeModel({.name = "small_cnn", .options_json = R"({"deep": true})"},
                kMnist),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "training.model.small_cnn.deep: unknown field"));
  EXPECT_THAT(MakeModel({.name = "small_cnn", .options_json = "["}, kMnist),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "training.model.small_cnn: must be an object"));
}

TEST(RegistryTest, SaysWhichImagesAModelTakes) {
  EXPECT_THAT(
      MakeModel({.name = "lenet_300_100"}, kCifar10),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               "takes images of 28x28x1, but the data set has 32x32x3"));
}

TEST(RegistryTest, SaysWhichImagesAnOptionNeeds) {
  EXPECT_THAT(MakeModel({"inception_v3", kInceptionWithHead}, Shape(96, 10)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "training.model.inception_v3.auxiliary_head: true needs "
                       "images of 299x299 or more; the data set has 96x96"));
  EXPECT_THAT(MakeModel({"convnext_tiny", kConvnext}, Shape(28, 10)),
              StatusIs(absl::StatusCode::kInvalidArgument, "32x32 or more"));
  EXPECT_OK(MakeModel({"convnext_tiny", kConvnextSmall}, Shape(28, 10)));
  EXPECT_THAT(MakeModel({"inception_v3", kInception}, kCifar10),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "takes images of 75x75 or more"));
}

// Of 4,000 examples, each kept with probability 0.75 and then divided by it.
TEST(StochasticDepthTest, DropsExamplesAndKeepsTheMean) {
  const at::Tensor ones = at::ones({4000, 2, 3});

  const at::Tensor branch = StochasticDepth(ones, 0.25, /*training=*/true);

  const at::Tensor per_example = branch.flatten(1);
  EXPECT_TRUE(at::equal(per_example.amax(1), per_example.amin(1)));
  EXPECT_NEAR(branch.max().item<float>(), 1 / 0.75, 1e-6);
  EXPECT_EQ(branch.min().item<float>(), 0);
  // Five standard errors.
  EXPECT_NEAR(branch.mean().item<double>(), 1,
              5 * std::sqrt(0.25 / 0.75 / 4000));
  EXPECT_TRUE(at::equal(StochasticDepth(ones, 0.25, false), ones));
  EXPECT_EQ(StochasticDepth(ones, 1, true).abs().max().item<float>(), 0);
}

TEST(StochasticDepthTest, RisesFromTheFirstBlockToTheLast) {
  EXPECT_EQ(DropOfBlock(0.2, 0, 12), 0);
  EXPECT_EQ(DropOfBlock(0.2, 11, 12), 0.2);
}

// What leaves the blocks, in order; in eval mode on two images.
std::vector<at::Tensor> BlockOutputs(Model& model, const ModelShape& shape) {
  std::vector<at::Tensor> outputs;
  model.ListenToBlocks([&](int64_t block, const at::Tensor& output) {
    EXPECT_EQ(block, static_cast<int64_t>(outputs.size()));
    outputs.push_back(output.clone());
  });
  const at::NoGradGuard no_grad;
  model.eval();
  model.forward(
      at::ones({2, shape.channels, shape.height, shape.width}).mul(0.5));
  model.ListenToBlocks(nullptr);
  return outputs;
}

class ModelBlocksTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    for (const KnownModel& known : kKnownModels) {
      if (known.name != std::string(GetParam())) continue;
      ASSERT_OK_AND_ASSIGN(model_, Make(known));
      shape_ = known.shape();
      initializers::NoWeights none;
      at::Generator generator = at::detail::createCPUGenerator(1);
      ASSERT_OK(initializers::MakeStart(initializers::FrameworkDefaultOptions{})
                    .Apply(*model_, {.generator = generator, .weights = none}));
      return;
    }
    FAIL() << "no model " << GetParam();
  }

  std::shared_ptr<Model> model_;
  ModelShape shape_;
};

// A block's own weights change what leaves it, and nothing before it.
TEST_P(ModelBlocksTest, EndWhereTheListOfBlocksSays) {
  const auto blocks = initializers::BlocksOf(*model_);
  const std::vector<at::Tensor> before = BlockOutputs(*model_, shape_);
  ASSERT_EQ(before.size(), blocks.size() - 1);
  const at::NoGradGuard no_grad;
  for (size_t k = 0; k < before.size(); ++k) {
    const std::set<std::string> own(blocks[k].tensors.begin(),
                                    blocks[k].tensors.end());
    std::vector<std::pair<at::Tensor, at::Tensor>> kept;
    for (const auto& each : initializers::StateDict(*model_)) {
      if (each.is_buffer || !own.contains(each.name)) continue;
      at::Tensor tensor = each.tensor;
      kept.emplace_back(tensor, tensor.clone());
      tensor.mul_(1.5).add_(0.01);
    }
    const std::vector<at::Tensor> after = BlockOutputs(*model_, shape_);
    for (size_t i = 0; i < after.size(); ++i) {
      EXPECT_EQ(at::equal(after[i], before[i]), i < k)
          << blocks[k].name << ", behind block " << i;
    }
    for (auto& [tensor, values] : kept) tensor.copy_(values);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ModelBlocksTest,
    ::testing::Values("lenet_300_100", "small_cnn", "sampled_cnn",
                      "cifar_resnet18", "preact_resnet18", "resnet18",
                      "resnet110", "wide_resnet28_10", "fixup_resnet20",
                      "mobilenet_v2", "cifar_mobilenet_v2"),
    [](const auto& info) { return std::string(info.param); });

class OneBlock final : public Model {
 public:
  at::Tensor forward(const at::Tensor& images) override {
    return EndBlock(0, images);
  }
};

TEST(InsertedNormTest, ShiftsAndScalesWhatLeavesItsBlock) {
  const at::Tensor images = at::randn({8, 3, 4, 4}).mul(5).add(2);
  OneBlock model;
  EXPECT_TRUE(at::equal(model.forward(images), images));
  InsertedNorm norm = {.mean = images.mean({0, 2, 3}),
                       .deviation = images.std({0, 2, 3}, false)};
  model.Insert({norm});
  EXPECT_TRUE(at::equal(model.forward(images), images));
  norm.is_active = true;
  model.Insert({norm});
  const at::Tensor normal = model.forward(images);
  for (int64_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(normal.select(1, c).mean().item<double>(), 0, 1e-5);
    EXPECT_NEAR(normal.select(1, c).std(false).item<double>(), 1, 1e-5);
  }
  // One for all channels.
  model.Insert({{.mean = at::full({1}, 2.0),
                 .deviation = at::full({1}, 5.0),
                 .is_active = true}});
  EXPECT_TRUE(model.forward(images).allclose(images.sub(2).div(5)));
}

}  // namespace
}  // namespace headstart::worker
