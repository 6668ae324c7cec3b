#include "initializers/predicted/network_graph.h"

#include "base/check.h"

namespace headstart::initializers {

absl::string_view PrimitiveName(Primitive primitive) {
  static constexpr absl::string_view kNames[kPrimitives] = {
      "max_pool", "avg_pool", "sep_conv", "dil_conv", "conv",
      "msa",      "cse",      "sum",      "concat",   "input",
      "bias",     "bn",       "ln",       "pos_enc",  "glob_avg"};
  return kNames[static_cast<int64_t>(primitive)];
}

bool EndsWithClassifier(const NetworkGraph& graph) {
  const size_t count = graph.nodes.size();
  if (count < 2) return false;
  const GraphNode& weight = graph.nodes[count - 2];
  return graph.nodes[count - 1].primitive == Primitive::kBias &&
         weight.primitive == Primitive::kConv && weight.shape.size() == 2;
}

std::vector<GraphPath> ShortestPaths(const NetworkGraph& graph,
                                     int64_t length_max) {
  const auto count = static_cast<int64_t>(graph.nodes.size());
  std::vector<std::vector<int64_t>> next(count);
  for (const GraphEdge& edge : graph.edges) {
    HS_CHECK(0 <= edge.from && edge.from < edge.to && edge.to < count);
    next[edge.from].push_back(edge.to);
  }
  std::vector<GraphPath> paths;
  for (int64_t from = 0; from < count; ++from) {
    std::vector<bool> seen(count);
    std::vector<int64_t> reached = {from};
    for (int64_t length = 1; length <= length_max && !reached.empty();
         ++length) {
      std::vector<int64_t> further;
      for (const int64_t node : reached) {
        for (const int64_t to : next[node]) {
          if (seen[to]) continue;
          seen[to] = true;
          further.push_back(to);
          paths.push_back({from, to, length});
        }
      }
      reached = std::move(further);
    }
  }
  return paths;
}

}  // namespace headstart::initializers
