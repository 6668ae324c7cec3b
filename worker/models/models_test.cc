#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>

#include "tests/support/status_matchers.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"
#include "worker/models/stochastic_depth.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsSupersetOf;

constexpr ModelShape kMnist = {
    .channels = 1, .height = 28, .width = 28, .classes = 10};
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

struct Expected {
  std::string name;
  ModelShape shape;
  int64_t parameter_count;
  size_t parameter_tensors;
  size_t buffer_tensors;
  std::string options = "{}";
};

void PrintTo(const Expected& expected, std::ostream* out) {
  *out << expected.name << " " << expected.options << " "
       << expected.shape.classes;
}

absl::StatusOr<std::shared_ptr<Model>> Make(const Expected& expected) {
  return MakeModel({.name = expected.name, .options_json = expected.options},
                   expected.shape);
}

class ModelSizeTest : public ::testing::TestWithParam<Expected> {};

TEST_P(ModelSizeTest, IsTheKnownOne) {
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model, Make(GetParam()));

  EXPECT_EQ(ParameterCount(*model), GetParam().parameter_count);
  EXPECT_EQ(model->parameters().size(), GetParam().parameter_tensors);
  EXPECT_EQ(model->buffers().size(), GetParam().buffer_tensors);
}

class ModelsTest : public ::testing::TestWithParam<Expected> {};

TEST_P(ModelsTest, GivesOneLogitPerClass) {
  const ModelShape& shape = GetParam().shape;
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model, Make(GetParam()));

  const at::NoGradGuard no_grad;
  const at::Tensor logits =
      model->forward(at::randn({2, shape.channels, shape.height, shape.width}));

  EXPECT_THAT(logits.sizes(), ElementsAre(2, shape.classes));
}

TEST_P(ModelsTest, EveryParameterGetsAGradient) {
  const ModelShape& shape = GetParam().shape;
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model, Make(GetParam()));

  const TrainingOutput output = model->ForwardTraining(
      at::randn({2, shape.channels, shape.height, shape.width}));
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

TEST_P(ModelsTest, TakesTheMemoryOfItsTensorsAlong) {
  // A snapshot holds on to the tensors of the first day: training must change
  // them in place, the counter of batch norm among them.
  const ModelShape& shape = GetParam().shape;
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model, Make(GetParam()));
  std::vector<const void*> before;
  for (const at::Tensor& buffer : model->buffers()) {
    before.push_back(buffer.const_data_ptr());
  }

  model->ForwardTraining(
      at::randn({4, shape.channels, shape.height, shape.width}));

  std::vector<const void*> after;
  for (const at::Tensor& buffer : model->buffers()) {
    after.push_back(buffer.const_data_ptr());
  }
  EXPECT_EQ(after, before);
  for (const auto& buffer : model->named_buffers()) {
    if (buffer.key().ends_with("num_batches_tracked")) {
      EXPECT_EQ(buffer.value().item<int64_t>(), 1) << buffer.key();
    }
  }
}

constexpr ModelShape Shape(int64_t side, int64_t classes) {
  return {.channels = 3, .height = side, .width = side, .classes = classes};
}

constexpr char kInception[] =
    R"({"auxiliary_head": false, "default_weights": "FRAMEWORK", "dropout": 0.5})";
constexpr char kInceptionWithHead[] =
    R"({"auxiliary_head": true, "default_weights": "FRAMEWORK", "dropout": 0.5})";
constexpr char kImagenetStem[] = R"({"stem": "IMAGENET"})";
constexpr char kSmallStem[] = R"({"stem": "SMALL_IMAGES"})";
constexpr char kMobilenet[] = R"({"stem": "IMAGENET", "dropout": 0.2})";
constexpr char kMobilenetSmall[] =
    R"({"stem": "SMALL_IMAGES", "dropout": 0.2})";
constexpr char kConvnext[] = R"({"stem": "IMAGENET", "stochastic_depth": 0.1})";
constexpr char kConvnextSmall[] =
    R"({"stem": "SMALL_IMAGES", "stochastic_depth": 0.1})";
constexpr char kSwin[] = R"({"stochastic_depth": 0.2})";

const Expected kAll[] = {
    {"lenet_300_100", kMnist, 266'610, 6, 0},
    {"small_cnn", kMnist, 94'186, 11, 9},
    {"small_cnn", kCifar10, 94'762, 11, 9},
    {"cifar_resnet18", kMnist, 11'172'810, 62, 60},
    {"cifar_resnet18", kCifar10, 11'173'962, 62, 60},
    {"inception_v3", Shape(75, 1000), 23'834'568, 284, 282, kInception},
    {"inception_v3", Shape(299, 1000), 27'161'264, 292, 288,
     kInceptionWithHead},
    {"mobilenet_v2", Shape(64, 1000), 3'504'872, 158, 156, kMobilenet},
    {"mobilenet_v2", kCifar10, 2'236'682, 158, 156, kMobilenetSmall},
    {"cifar_mobilenet_v2", kCifar10, 2'296'922, 173, 171},
    {"convnext_tiny", Shape(64, 1000), 28'589'128, 182, 0, kConvnext},
    {"convnext_base", kCifar10, 87'576'714, 344, 0, kConvnextSmall},
    {"swin_t", Shape(64, 1000), 28'288'354, 173, 12, kSwin},
    {"densenet121", Shape(64, 1000), 7'978'856, 364, 363, kImagenetStem},
    // The stem has 64 * 3 * (49 - 9) weights less.
    {"densenet121", kCifar10, 6'956'426, 364, 363, kSmallStem},
};
INSTANTIATE_TEST_SUITE_P(All, ModelsTest, ::testing::ValuesIn(kAll));
INSTANTIATE_TEST_SUITE_P(All, ModelSizeTest, ::testing::ValuesIn(kAll));

// Other numbers of classes that are known.
INSTANTIATE_TEST_SUITE_P(
    Classes, ModelSizeTest,
    ::testing::Values(
        Expected{"cifar_resnet18", Shape(32, 100), 11'220'132, 62, 60},
        Expected{"inception_v3", Shape(75, 101), 21'992'517, 284, 282,
                 kInception},
        Expected{"inception_v3", Shape(299, 101), 24'627'882, 292, 288,
                 kInceptionWithHead},
        Expected{"cifar_mobilenet_v2", Shape(32, 100), 2'412'212, 173, 171},
        Expected{"convnext_base", Shape(32, 1000), 88'591'464, 344, 0,
                 kConvnext}));

TEST(LenetTest, HasTheNamesOfASequential) {
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeModel({.name = "lenet_300_100"}, kMnist));

  EXPECT_THAT(ParameterNames(*model),
              ElementsAre("layers.0.weight", "layers.0.bias", "layers.2.weight",
                          "layers.2.bias", "layers.4.weight", "layers.4.bias"));
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

TEST(RegistryTest, ListsItsModels) {
  EXPECT_THAT(ModelNames(), IsSupersetOf({"lenet_300_100", "small_cnn",
                                          "cifar_resnet18", "swin_t"}));
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

}  // namespace
}  // namespace headstart::worker
