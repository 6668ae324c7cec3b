// Blocks whose branches begin as nothing.
#include "worker/models/residual_blocks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include "initializers/registry.h"
#include "tests/contract/no_weights.h"
#include "tests/support/status_matchers.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"

namespace headstart::worker {
namespace {

absl::Status ZeroInit(torch::nn::Module& module) {
  at::Generator generator = at::detail::createCPUGenerator(1);
  initializers::NoWeights none;
  return initializers::MakeStart(initializers::ZeroInitResidualOptions{})
      .Apply(module, {.generator = generator, .weights = none})
      .status();
}

template <typename Block>
void ExpectShortcutAlone(Block block) {
  ASSERT_OK(ZeroInit(*block));
  const at::Tensor x = at::randn({2, 8, 6, 6});
  EXPECT_TRUE(block->forward(x).equal(x.relu()));
}

TEST(ZeroInitResidualTest, ABlockIsItsShortcut) {
  ExpectShortcutAlone(BasicBlock(8, 8, 1, Shortcut{"shortcut"}));
  ExpectShortcutAlone(Bottleneck(8, 2, 8, 1, Shortcut{"shortcut"}));
}

TEST(ZeroInitResidualTest, OnlyTheLastScaleOfABranchLearnsAtFirst) {
  for (const char* name : {"cifar_resnet18", "cifar_resnet50"}) {
    ASSERT_OK_AND_ASSIGN(
        const auto model,
        MakeModel({.name = name},
                  {.channels = 3, .height = 32, .width = 32, .classes = 10}));
    ASSERT_OK(ZeroInit(*model));
    const at::Tensor logits = model->forward(at::randn({2, 3, 32, 32}));
    at::cross_entropy_loss(logits, at::zeros({2}, at::kLong)).backward();

    const char* last = std::string(name) == "cifar_resnet50" ? "bn3" : "bn2";
    for (const auto& parameter : model->named_parameters()) {
      const std::string& full = parameter.key();
      const auto is_of = [&](const std::string& layer) {
        return full.find("." + layer + ".") != std::string::npos;
      };
      const double largest =
          parameter.value().grad().abs().max().item<double>();
      if (is_of(last)) {
        EXPECT_GT(largest, 0) << full;
      } else if (is_of("conv1") || is_of("conv2") || is_of("conv3") ||
                 is_of("bn1") || is_of("bn2")) {
        EXPECT_EQ(largest, 0) << full;
      }
    }
  }
}

TEST(ZeroInitResidualTest, RefusesBlocksWithoutNorms) {
  EXPECT_THAT(
      ZeroInit(*BasicBlock(8, 8, 1, Shortcut{"shortcut"}, Norm::kNone)),
      StatusIs(absl::StatusCode::kFailedPrecondition, "no residual branch"));
}

}  // namespace
}  // namespace headstart::worker
