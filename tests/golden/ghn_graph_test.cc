// Graphs of our own models beside those that the published code traced.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include <ATen/ops/zeros.h>

#include "absl/strings/str_join.h"

#include "initializers/predicted/trace_graph.h"
#include "tests/golden/golden_ghn_files.h"
#include "tests/support/status_matchers.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"

namespace headstart::initializers {
namespace {

NetworkGraph Trace(const char* model, const char* options, int64_t side) {
  const std::shared_ptr<worker::Model> built =
      worker::MakeModel(
          {.name = model, .options_json = options},
          {.channels = 3, .height = side, .width = side, .classes = 10})
          .value();
  return TraceGraph(
             *built, [&](const at::Tensor& x) { return built->forward(x); },
             at::zeros({1, 3, side, side}))
      .value();
}

// One text for each node that says what it is and, in turn, what leads to it:
// equal for equal graphs whatever the order of their nodes.
std::vector<std::string> Ancestries(const NetworkGraph& graph) {
  std::vector<std::vector<std::string>> before(graph.nodes.size());
  std::vector<std::string> texts;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& node = graph.nodes[i];
    for (const GraphEdge& edge : graph.edges) {
      if (edge.to == static_cast<int64_t>(i)) {
        before[i].push_back(texts[edge.from]);
      }
    }
    std::sort(before[i].begin(), before[i].end());
    const std::string text = absl::StrCat(
        PrimitiveName(node.primitive), " ", node.parameter, " ", node.norm_bias,
        " [", absl::StrJoin(node.shape, ","), "] after ",
        std::hash<std::string>()(absl::StrJoin(before[i], ";")));
    texts.push_back(text);
  }
  return texts;
}

struct Case {
  const char* golden;
  const char* model;
  const char* options;
  int64_t side;
};

class GraphTest : public ::testing::TestWithParam<Case> {};

TEST_P(GraphTest, IsTheOneThatThePublishedCodeTraced) {
  const NetworkGraph golden = GraphOf(ReadJson(absl::StrCat(
      GOLDEN_FOLDER, "/ghn/goldens_", GetParam().golden, ".json")));

  const NetworkGraph ours =
      Trace(GetParam().model, GetParam().options, GetParam().side);

  EXPECT_THAT(Ancestries(ours),
              ::testing::UnorderedElementsAreArray(Ancestries(golden)));
}

INSTANTIATE_TEST_SUITE_P(
    All, GraphTest,
    ::testing::Values(
        Case{"resnet18_cifar", "resnet18", R"({"stem": "SMALL_IMAGES"})", 32},
        Case{"resnet18_imagenet_stem", "resnet18", R"({"stem": "IMAGENET"})",
             64},
        Case{"resnet50_cifar", "resnet50", R"({"stem": "SMALL_IMAGES"})", 32},
        Case{"mobilenet_v2_cifar", "mobilenet_v2",
             R"({"stem": "SMALL_IMAGES", "dropout": 0.2})", 32}),
    [](const auto& test) { return std::string(test.param.golden); });

// Not among the goldens; counts that the published code gave.
TEST(GraphTest, OfResnet50ForLargeImages) {
  const NetworkGraph graph = Trace("resnet50", R"({"stem": "IMAGENET"})", 64);

  EXPECT_EQ(graph.nodes.size(), 127u);
  EXPECT_EQ(ShortestPaths(graph, 50).size(), 7953u);
}

}  // namespace
}  // namespace headstart::initializers
