// What Fixup promises of its first weights.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>

#include "initializers/registry.h"
#include "initializers/stored_tensor.h"
#include "tests/contract/no_weights.h"
#include "tests/support/status_matchers.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"

namespace headstart::worker {
namespace {

void Initialize(Model& model) {
  // Tests run side by side, and on a busy machine threads that wait for one
  // another wait for minutes.
  at::set_num_threads(1);
  at::Generator generator = at::detail::createCPUGenerator(1);
  initializers::NoWeights none;
  ASSERT_OK(initializers::MakeStart(initializers::FrameworkDefaultOptions{})
                .Apply(model, {.generator = generator, .weights = none}));
}

struct FixupCase {
  const char* name;
  ModelShape shape;
};

class FixupResnetTest : public ::testing::TestWithParam<FixupCase> {};

TEST_P(FixupResnetTest, OnlyTheClassifierLearnsAtFirst) {
  const ModelShape& shape = GetParam().shape;
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model,
                       MakeModel({.name = GetParam().name}, shape));
  Initialize(*model);
  const at::Tensor labels = at::arange(4).mul(3).remainder(shape.classes);

  const at::Tensor logits =
      model->forward(at::randn({4, shape.channels, shape.height, shape.width}));
  const at::Tensor loss = at::cross_entropy_loss(logits, labels);
  loss.backward();

  EXPECT_TRUE(logits.eq(0).all().item<bool>());
  EXPECT_NEAR(loss.item<double>(), std::log(shape.classes), 1e-6);
  const at::Tensor expected =
      (at::softmax(logits.detach(), 1) - at::one_hot(labels, shape.classes))
          .mean(0);
  for (const auto& parameter : model->named_parameters()) {
    const at::Tensor& gradient = parameter.value().grad();
    if (parameter.key() == "fc.bias") {
      EXPECT_TRUE(gradient.allclose(expected, 1e-6, 1e-7));
    } else if (parameter.key() == "fc.weight") {
      EXPECT_GT(gradient.abs().max().item<double>(), 0);
    } else {
      EXPECT_TRUE(gradient.eq(0).all().item<bool>()) << parameter.key();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, FixupResnetTest,
    ::testing::Values(FixupCase{"fixup_resnet20", {3, 32, 32, 10}},
                      FixupCase{"fixup_resnet110", {3, 32, 32, 100}},
                      FixupCase{"fixup_resnet18", {3, 64, 64, 1000}},
                      FixupCase{"fixup_resnet50", {3, 64, 64, 10}}));

struct Deviation {
  const char* model;
  const char* parameter;
  double value;
};

TEST(FixupWeightsTest, HaveTheWidthsOfThePaper) {
  const Deviation cases[] = {
      // sqrt(2 / (16 * 9)) / sqrt(54), L = 54 blocks of m = 2 layers.
      {"fixup_resnet110", "layer1.5.conv1.weight", 0.016038},
      {"fixup_resnet110", "layer1.5.conv2.weight", 0},
      // The framework's: 1 / sqrt(3 * 27).
      {"fixup_resnet110", "conv1.weight", 0.111111},
      {"fixup_resnet18", "layer4.1.conv1.weight", 0.353553 / 48},
      // sqrt(2 / 64) * 16^(-1/4), L = 16 blocks of m = 3 layers.
      {"fixup_resnet50", "layer1.1.conv1.weight", 0.088388},
      {"fixup_resnet50", "layer1.1.conv2.weight", 0.029463},
      {"fixup_resnet50", "layer1.1.conv3.weight", 0},
      // Not scaled: sqrt(2 / 2048).
      {"fixup_resnet50", "layer4.0.downsample.weight", 0.031250},
  };
  for (const Deviation& each : cases) {
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model,
                         MakeModel({.name = each.model}, {3, 32, 32, 10}));
    Initialize(*model);

    const at::Tensor weight = model->named_parameters()[each.parameter];

    // Four standard errors of a normal distribution's deviation.
    EXPECT_NEAR(weight.std().item<double>(), each.value,
                each.value * 4 / std::sqrt(2. * weight.numel()))
        << each.model << " " << each.parameter;
  }
}

// The shortcut that changes the shape sees the input plus bias1a.
TEST(FixupBlockTest, BiasesTheInputOfAShortcutThatChangesTheShape) {
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model,
                       MakeModel({.name = "fixup_resnet20"}, {3, 32, 32, 10}));
  Initialize(*model);
  const at::Tensor images = at::randn({2, 3, 32, 32});
  const at::NoGradGuard no_grad;
  auto parameters = model->named_parameters();
  parameters["fc.weight"].fill_(1);  // Logits are the sum of the features.
  const at::Tensor before = model->forward(images);

  // An identity shortcut takes the input as it is, and branches give 0.
  parameters["layer1.0.bias1a"].fill_(1);
  const at::Tensor with_identity = model->forward(images);
  // Of 32 channels 16 become larger by 1, the others stay 0; all are features.
  parameters["layer3.0.bias1a"].fill_(1);
  const at::Tensor with_padding = model->forward(images);

  EXPECT_TRUE(with_identity.equal(before));
  EXPECT_TRUE(with_padding.allclose(before + 32, 1e-5, 1e-4));
}

}  // namespace
}  // namespace headstart::worker
