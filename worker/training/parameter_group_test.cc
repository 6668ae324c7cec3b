#include "worker/training/parameter_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/zeros.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include "worker/training/optimizer.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

// Names such as those of Fixup, ConvNeXt and Swin.
class Block final : public torch::nn::Module {
 public:
  Block() {
    register_parameter("layer_scale", at::zeros({4, 1, 1}));
    register_parameter("scale", at::zeros({1}));
    register_parameter("bias1a", at::zeros({1}));
    register_parameter("relative_position_bias_table", at::zeros({9, 2}));
    register_module("conv",
                    torch::nn::Conv2d(torch::nn::Conv2dOptions(4, 4, 1)));
    register_module("bn", torch::nn::BatchNorm2d(4));
    register_module("ln",
                    torch::nn::LayerNorm(torch::nn::LayerNormOptions({4})));
  }
};

class Net final : public torch::nn::Module {
 public:
  Net() {
    register_module("block", std::make_shared<Block>());
    register_module("linear", torch::nn::Linear(4, 2));
  }
};

TEST(ParameterGroupTest, IsFoundFromTheModuleAndTheName) {
  std::vector<std::pair<std::string, ParameterGroup>> groups;
  for (const OptimizedParameter& each :
       ListParameters(*std::make_shared<Net>())) {
    groups.emplace_back(each.name, each.group);
  }

  EXPECT_THAT(groups,
              ElementsAre(Pair("block.layer_scale", ParameterGroup::kScale),
                          Pair("block.scale", ParameterGroup::kScale),
                          Pair("block.bias1a", ParameterGroup::kBias),
                          Pair("block.relative_position_bias_table",
                               ParameterGroup::kBias),
                          Pair("block.conv.weight", ParameterGroup::kPlain),
                          Pair("block.conv.bias", ParameterGroup::kBias),
                          Pair("block.bn.weight", ParameterGroup::kNorm),
                          Pair("block.bn.bias", ParameterGroup::kNorm),
                          Pair("block.ln.weight", ParameterGroup::kNorm),
                          Pair("block.ln.bias", ParameterGroup::kNorm),
                          Pair("linear.weight", ParameterGroup::kPlain),
                          Pair("linear.bias", ParameterGroup::kBias)));
}

}  // namespace
}  // namespace headstart::worker
