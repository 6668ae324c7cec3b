// A network as a graph hypernetwork sees it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace headstart::initializers {

// What a node is. The order is that of the rows of GHN-2's embedding table
// (Knyazev et al. 2021, Parameter Prediction for Unseen Deep Architectures).
enum class Primitive {
  kMaxPool,
  kAvgPool,
  kSepConv,  // Of several groups.
  kDilConv,  // Of several groups, and dilated.
  kConv,     // Linear layers too.
  kAttention,
  kSqueezeExcitation,
  kSum,
  kConcat,
  kInput,
  kBias,
  kBatchNorm,
  kLayerNorm,
  kPositionEncoding,
  kGlobalAverage,
};
inline constexpr int64_t kPrimitives = 15;

// As the published code has it: sep_conv.
absl::string_view PrimitiveName(Primitive primitive);

struct GraphNode {
  Primitive primitive = Primitive::kInput;
  // The parameter that is decoded from this node; empty for an operation.
  std::string parameter = {};
  // A norm's bias, which is decoded from its weight's node. Else empty.
  std::string norm_bias = {};
  // The parameter's; [1, 1, k, k] for pooling; else empty.
  std::vector<int64_t> shape = {};
};

struct GraphEdge {
  int64_t from = 0;
  int64_t to = 0;
};

// Without cycles. Nodes in topological order: an edge leads to a later node.
// The first node is the input; every node can be reached from it and leads to
// the last one.
struct NetworkGraph {
  std::vector<GraphNode> nodes;
  std::vector<GraphEdge> edges;  // No two alike.
};

// Whether the last two nodes are a linear layer's weight and its bias: then the
// hypernetwork has own decoders for them. A last layer without bias is an
// ordinary one.
bool EndsWithClassifier(const NetworkGraph& graph);

struct GraphPath {
  int64_t from = 0;
  int64_t to = 0;
  int64_t length = 0;  // Of the shortest path; 1 for an edge.
};

// All pairs of nodes with a path of at most `length_max` edges: the graph's own
// edges and the virtual ones (Knyazev et al. 2021, section 4.2).
std::vector<GraphPath> ShortestPaths(const NetworkGraph& graph,
                                     int64_t length_max);

}  // namespace headstart::initializers
