#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include <ATen/ops/randn.h>

#include "tests/support/status_matchers.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

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
};

void PrintTo(const Expected& expected, std::ostream* out) {
  *out << expected.name << " " << expected.shape.classes;
}

class ModelsTest : public ::testing::TestWithParam<Expected> {};

TEST_P(ModelsTest, HasTheKnownNumberOfParameters) {
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model,
                       MakeModel({.name = GetParam().name}, GetParam().shape));

  EXPECT_EQ(ParameterCount(*model), GetParam().parameter_count);
  EXPECT_EQ(model->parameters().size(), GetParam().parameter_tensors);
  EXPECT_EQ(model->buffers().size(), GetParam().buffer_tensors);
}

TEST_P(ModelsTest, GivesOneLogitPerClass) {
  const ModelShape& shape = GetParam().shape;
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model,
                       MakeModel({.name = GetParam().name}, shape));

  const at::Tensor logits =
      model->forward(at::randn({2, shape.channels, shape.height, shape.width}));

  EXPECT_THAT(logits.sizes(), ElementsAre(2, shape.classes));
}

TEST_P(ModelsTest, EveryParameterGetsAGradient) {
  const ModelShape& shape = GetParam().shape;
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model,
                       MakeModel({.name = GetParam().name}, shape));

  model->forward(at::randn({2, shape.channels, shape.height, shape.width}))
      .square()
      .sum()
      .backward();

  for (const auto& parameter : model->named_parameters()) {
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    EXPECT_TRUE(parameter.value().grad().is_contiguous()) << parameter.key();
  }
}

TEST_P(ModelsTest, TakesTheMemoryOfItsTensorsAlong) {
  // A snapshot holds on to the tensors of the first day: training must change
  // them in place, the counter of batch norm among them.
  const ModelShape& shape = GetParam().shape;
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model,
                       MakeModel({.name = GetParam().name}, shape));
  std::vector<const void*> before;
  for (const at::Tensor& buffer : model->buffers()) {
    before.push_back(buffer.const_data_ptr());
  }

  model->forward(at::randn({4, shape.channels, shape.height, shape.width}));

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

INSTANTIATE_TEST_SUITE_P(
    All, ModelsTest,
    ::testing::Values(
        Expected{"lenet_300_100", kMnist, 266'610, 6, 0},
        Expected{"small_cnn", kMnist, 94'186, 11, 9},
        Expected{"small_cnn", kCifar10, 94'762, 11, 9},
        Expected{"cifar_resnet18", kMnist, 11'172'810, 62, 60},
        Expected{"cifar_resnet18", kCifar10, 11'173'962, 62, 60},
        Expected{"cifar_resnet18",
                 {.channels = 3, .height = 32, .width = 32, .classes = 100},
                 11'220'132,
                 62,
                 60}));

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
  EXPECT_THAT(ModelNames(),
              ElementsAre("lenet_300_100", "small_cnn", "cifar_resnet18"));
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

}  // namespace
}  // namespace headstart::worker
