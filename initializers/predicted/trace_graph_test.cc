#include "initializers/predicted/trace_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/normalization.h>

#include "absl/strings/match.h"

#include "initializers/state_dict.h"
#include "tests/contract/known_models.h"
#include "tests/support/status_matchers.h"
#include "worker/models/layers.h"
#include "worker/models/model.h"

namespace headstart::initializers {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

std::vector<std::string> Names(const NetworkGraph& graph) {
  std::vector<std::string> names;
  for (const GraphNode& node : graph.nodes) {
    names.push_back(node.parameter.empty()
                        ? std::string(PrimitiveName(node.primitive))
                        : node.parameter);
  }
  return names;
}

class KnownModelTest : public ::testing::TestWithParam<worker::KnownModel> {};

// Parameters of no layer that a hypernetwork knows.
bool StaysAsItIs(const std::string& name, const std::string& model) {
  return absl::EndsWith(name, "layer_scale") ||
         absl::EndsWith(name, "relative_position_bias_table") ||
         absl::StartsWith(name, "AuxLogits.") ||
         // A scale and biases of one value around its layers.
         (absl::StrContains(model, "fixup") &&
          !absl::EndsWith(name, "weight") && name != "fc.bias" &&
          name != "linear.bias");
}

TEST_P(KnownModelTest, BecomesAGraphAndStaysAsItIs) {
  ASSERT_OK_AND_ASSIGN(
      const std::shared_ptr<worker::Model> model,
      worker::MakeModel(GetParam().spec(), GetParam().shape()));
  std::vector<at::Tensor> before;
  {
    const at::NoGradGuard no_grad;
    for (const NamedTensor& each : StateDict(*model)) {
      if (each.tensor.is_floating_point()) each.tensor.fill_(0.1);
      before.push_back(each.tensor.clone());
    }
  }
  const at::Tensor generator = at::detail::getDefaultCPUGenerator().get_state();
  const worker::ModelShape shape = GetParam().shape();

  ASSERT_OK_AND_ASSIGN(
      const NetworkGraph graph,
      TraceGraph(
          *model, [&](const at::Tensor& x) { return model->forward(x); },
          at::zeros({1, shape.channels, shape.height, shape.width})));

  // Each parameter has a node, of its own shape.
  std::map<std::string, std::vector<int64_t>> predicted;
  for (const GraphNode& node : graph.nodes) {
    if (!node.parameter.empty()) predicted[node.parameter] = node.shape;
    if (!node.norm_bias.empty()) predicted[node.norm_bias] = node.shape;
  }
  for (const auto& each : model->named_parameters()) {
    if (StaysAsItIs(each.key(), GetParam().name)) {
      EXPECT_FALSE(predicted.contains(each.key())) << each.key();
    } else {
      EXPECT_THAT(predicted[each.key()],
                  ElementsAreArray(each.value().sizes().vec()))
          << each.key();
    }
  }
  // One source, one end, and that is the classifier.
  std::set<int64_t> left, entered;
  std::set<std::pair<int64_t, int64_t>> edges;
  for (const GraphEdge& edge : graph.edges) {
    EXPECT_LT(edge.from, edge.to);
    EXPECT_TRUE(edges.emplace(edge.from, edge.to).second);
    left.insert(edge.from);
    entered.insert(edge.to);
  }
  EXPECT_EQ(left.size(), graph.nodes.size() - 1);
  EXPECT_EQ(entered.size(), graph.nodes.size() - 1);
  EXPECT_FALSE(entered.contains(0));
  EXPECT_TRUE(EndsWithClassifier(graph));
  // The model is as it was.
  size_t i = 0;
  for (const NamedTensor& each : StateDict(*model)) {
    EXPECT_TRUE(each.tensor.equal(before[i++])) << each.name;
    EXPECT_FALSE(each.tensor.grad().defined()) << each.name;
  }
  EXPECT_TRUE(model->is_training());
  EXPECT_TRUE(
      at::detail::getDefaultCPUGenerator().get_state().equal(generator));
}

// Each model once; the large ones have no layer that the others lack, and a
// hypernetwork is no network to predict.
std::vector<worker::KnownModel> EachKind() {
  std::vector<worker::KnownModel> kinds;
  std::set<std::pair<std::string, std::string>> seen;
  for (const worker::KnownModel& each : worker::kKnownModels) {
    if (each.parameters < 30'000'000 && each.spec().name != "ghn2" &&
        seen.emplace(each.name, each.options).second) {
      kinds.push_back(each);
    }
  }
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(All, KnownModelTest, ::testing::ValuesIn(EachKind()));

// What forward() does with the layers is each test's.
class Layers final : public torch::nn::Module {
 public:
  Layers()
      : first(register_module("first", worker::Conv3x3(3, 4, 1, true))),
        second(register_module("second", worker::Conv3x3(4, 4))),
        grouped(register_module(
            "grouped",
            worker::Conv2d(
                torch::nn::Conv2dOptions(4, 4, 3).groups(4).padding(1)))),
        dilated(register_module("dilated",
                                worker::Conv2d(torch::nn::Conv2dOptions(4, 4, 3)
                                                   .groups(2)
                                                   .dilation(2)
                                                   .padding(2)
                                                   .bias(false)))),
        groups(register_module("groups", torch::nn::GroupNorm(2, 4))),
        plain(register_module(
            "plain", torch::nn::BatchNorm2d(
                         torch::nn::BatchNorm2dOptions(4).affine(false)))),
        layer(register_module("layer",
                              torch::nn::LayerNorm(std::vector<int64_t>{4}))),
        linear(register_module("linear", worker::Linear(4, 5))) {}

  worker::Conv2d first, second, grouped, dilated;
  torch::nn::GroupNorm groups;
  torch::nn::BatchNorm2d plain;
  torch::nn::LayerNorm layer;
  worker::Linear linear;
};

class TraceGraphTest : public ::testing::Test {
 protected:
  NetworkGraph Trace(absl::FunctionRef<at::Tensor(const at::Tensor&)> forward) {
    return TraceGraph(*layers_, forward, at::zeros({1, 3, 6, 6})).value();
  }

  const std::shared_ptr<Layers> layers_ = std::make_shared<Layers>();
};

TEST_F(TraceGraphTest, KnowsConvolutionsByTheirGroups) {
  const NetworkGraph graph = Trace([&](const at::Tensor& x) {
    return layers_->dilated(layers_->grouped(layers_->first(x)));
  });

  EXPECT_THAT(Names(graph),
              ElementsAre("input", "first.weight", "first.bias",
                          "grouped.weight", "grouped.bias", "dilated.weight"));
  EXPECT_EQ(graph.nodes[1].primitive, Primitive::kConv);
  EXPECT_EQ(graph.nodes[2].primitive, Primitive::kBias);
  EXPECT_EQ(graph.nodes[3].primitive, Primitive::kSepConv);
  EXPECT_EQ(graph.nodes[5].primitive, Primitive::kDilConv);
  EXPECT_FALSE(EndsWithClassifier(graph));
}

TEST_F(TraceGraphTest, ASumOfOneNodeWithItselfIsNone) {
  const NetworkGraph graph = Trace([&](const at::Tensor& x) {
    const at::Tensor y = layers_->first(x);
    const at::Tensor z = layers_->second(y + y.relu() + 1);
    return at::cat({z + y, z.mul(y)}, 1);
  });

  // The product leads nowhere of its own: its sources go on.
  EXPECT_THAT(Names(graph), ElementsAre("input", "first.weight", "first.bias",
                                        "second.weight", "sum", "concat"));
  std::vector<std::pair<int64_t, int64_t>> edges;
  for (const GraphEdge& edge : graph.edges) {
    edges.emplace_back(edge.from, edge.to);
  }
  EXPECT_THAT(edges, ::testing::UnorderedElementsAre(
                         std::pair(0, 1), std::pair(1, 2), std::pair(2, 3),
                         std::pair(2, 4), std::pair(3, 4), std::pair(2, 5),
                         std::pair(3, 5), std::pair(4, 5)));
}

TEST_F(TraceGraphTest, NormsOfOtherKindsHaveNoNode) {
  const NetworkGraph graph = Trace([&](const at::Tensor& x) {
    return layers_->plain(layers_->groups(layers_->first(x)));
  });

  EXPECT_THAT(Names(graph), ElementsAre("input", "first.weight", "first.bias"));
}

TEST_F(TraceGraphTest, ALinearLayerOverManyDimensionsIsOneToo) {
  const NetworkGraph graph = Trace([&](const at::Tensor& x) {
    const at::Tensor last =
        layers_->layer(layers_->first(x).permute({0, 2, 3, 1}));
    // Not contiguous: the bias is added by itself.
    return layers_->linear(last.transpose(1, 2)).mean({1, 2});
  });

  EXPECT_THAT(Names(graph),
              ElementsAre("input", "first.weight", "first.bias", "layer.weight",
                          "linear.weight", "linear.bias", "glob_avg"));
  EXPECT_EQ(graph.nodes[3].norm_bias, "layer.bias");
}

TEST_F(TraceGraphTest, WithoutLayersThereIsNothingToPredict) {
  const auto identity = [](const at::Tensor& x) { return x.mul(2); };

  EXPECT_THAT(TraceGraph(*layers_, identity, at::zeros({1, 3, 6, 6})).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace headstart::initializers
