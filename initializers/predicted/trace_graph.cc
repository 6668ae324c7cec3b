#include "initializers/predicted/trace_graph.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/csrc/autograd/generated/Functions.h>
#include <torch/nn/module.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "initializers/learned/probe_mode.h"

namespace headstart::initializers {
namespace {

namespace ag = torch::autograd;
using ag::generated::AvgPool2DBackward0;
using ag::generated::ConvolutionBackward0;
using ag::generated::MaxPool2DWithIndicesBackward0;
using ag::generated::MeanBackward1;

constexpr int64_t kInputNode = 0;

struct Parameter {
  std::string name;
  std::vector<int64_t> shape;

  bool Is(absl::string_view leaf, size_t dimensions) const {
    return shape.size() == dimensions &&
           (name == leaf || absl::EndsWith(name, absl::StrCat(".", leaf)));
  }
};

// What one of autograd's nodes computed.
struct Value {
  // The nodes that lead to it. Empty: it depends on parameters alone,
  std::set<int64_t> sources;
  // on these.
  std::vector<const Parameter*> parameters;

  bool data() const { return !sources.empty(); }
};

class Tracer final {
 public:
  Tracer(const torch::nn::Module& model, const at::Tensor& images)
      : images_(images) {
    for (const auto& each : model.named_parameters()) {
      parameters_[each.value().unsafeGetTensorImpl()] = {
          each.key(), each.value().sizes().vec()};
    }
    graph_.nodes.push_back({.primitive = Primitive::kInput});
  }

  // Visits what leads to `node`, then itself: so the graph's nodes come in
  // topological order.
  const Value& Visit(ag::Node& node);

  NetworkGraph TakeGraph() { return std::move(graph_); }

 private:
  // The parameters and the data that go into one operation.
  struct Inputs {
    std::set<int64_t> sources;
    int64_t data_count = 0;
    std::vector<const Parameter*> parameters;

    // One of them that is a layer's `leaf` of so many dimensions, or null.
    const Parameter* Find(absl::string_view leaf, size_t dimensions) const {
      for (const Parameter* each : parameters) {
        if (each->Is(leaf, dimensions)) return each;
      }
      return nullptr;
    }
  };

  Value Leaf(const at::Tensor& tensor) const;
  // The sources of an operation's result.
  std::set<int64_t> Operation(const ag::Node& node, const Inputs& inputs);
  std::set<int64_t> Layer(Primitive primitive, const Parameter* weight,
                          const Parameter* bias,
                          const std::set<int64_t>& sources);
  std::set<int64_t> NormLayer(Primitive primitive, const Inputs& inputs);
  std::set<int64_t> Sum(const Inputs& inputs);
  std::set<int64_t> Append(GraphNode node, const std::set<int64_t>& sources);

  const at::Tensor images_;
  std::unordered_map<const at::TensorImpl*, Parameter> parameters_;
  std::unordered_map<const ag::Node*, Value> values_;
  NetworkGraph graph_;
};

const Value& Tracer::Visit(ag::Node& node) {
  const auto known = values_.find(&node);
  if (known != values_.end()) return known->second;
  if (const auto* leaf = dynamic_cast<const ag::AccumulateGrad*>(&node)) {
    return values_[&node] = Leaf(leaf->variable);
  }
  Inputs inputs;
  for (const ag::Edge& edge : node.next_edges()) {
    if (!edge.is_valid()) continue;
    const Value& value = Visit(*edge.function);
    inputs.data_count += value.data() ? 1 : 0;
    inputs.sources.insert(value.sources.begin(), value.sources.end());
    inputs.parameters.insert(inputs.parameters.end(), value.parameters.begin(),
                             value.parameters.end());
  }
  if (inputs.data_count == 0) {
    return values_[&node] = {.sources = {}, .parameters = inputs.parameters};
  }
  return values_[&node] = {.sources = Operation(node, inputs),
                           .parameters = {}};
}

Value Tracer::Leaf(const at::Tensor& tensor) const {
  if (tensor.is_same(images_)) return {.sources = {kInputNode}};
  const auto found = parameters_.find(tensor.unsafeGetTensorImpl());
  if (found == parameters_.end()) return {};
  return {.sources = {}, .parameters = {&found->second}};
}

// [1, 1, height, width] of a pooling window.
std::vector<int64_t> WindowShape(const std::vector<int64_t>& kernel) {
  return {1, 1, kernel.front(), kernel.back()};
}

Primitive ConvolutionKind(const ConvolutionBackward0& node) {
  if (node.groups.expect_int() == 1) return Primitive::kConv;
  const bool dilated =
      std::any_of(node.dilation.begin(), node.dilation.end(),
                  [](const c10::SymInt& by) { return by.expect_int() > 1; });
  return dilated ? Primitive::kDilConv : Primitive::kSepConv;
}

std::set<int64_t> Tracer::Operation(const ag::Node& node,
                                    const Inputs& inputs) {
  const std::string name = node.name();
  const bool joins = inputs.data_count > 1 && inputs.sources.size() > 1;
  if (const auto* conv = dynamic_cast<const ConvolutionBackward0*>(&node)) {
    if (conv->transposed) return inputs.sources;
    return Layer(ConvolutionKind(*conv), inputs.Find("weight", 4),
                 inputs.Find("bias", 1), inputs.sources);
  }
  if (name == "AddmmBackward0" || name == "MmBackward0" ||
      name == "BmmBackward0" || name == "LinearBackward0") {
    return Layer(Primitive::kConv, inputs.Find("weight", 2),
                 inputs.Find("bias", 1), inputs.sources);
  }
  if (absl::EndsWith(name, "BatchNormBackward0")) {
    return NormLayer(Primitive::kBatchNorm, inputs);
  }
  if (absl::EndsWith(name, "LayerNormBackward0")) {
    return NormLayer(Primitive::kLayerNorm, inputs);
  }
  if (name == "AddBackward0") return Sum(inputs);
  if (name == "CatBackward0" && joins) {
    return Append({.primitive = Primitive::kConcat}, inputs.sources);
  }
  if (const auto* pool =
          dynamic_cast<const MaxPool2DWithIndicesBackward0*>(&node)) {
    return Append({.primitive = Primitive::kMaxPool,
                   .shape = WindowShape(pool->kernel_size)},
                  inputs.sources);
  }
  if (const auto* pool = dynamic_cast<const AvgPool2DBackward0*>(&node)) {
    return Append({.primitive = Primitive::kAvgPool,
                   .shape = WindowShape(pool->kernel_size)},
                  inputs.sources);
  }
  if (const auto* mean = dynamic_cast<const MeanBackward1*>(&node)) {
    if (mean->self_sym_sizes.size() != 4 || !mean->dim.list.has_value() ||
        mean->dim.list->size() != 2) {
      return inputs.sources;
    }
    return Append({.primitive = Primitive::kGlobalAverage}, inputs.sources);
  }
  if (name == "AdaptiveAvgPool2DBackward0") {
    return Append({.primitive = Primitive::kGlobalAverage}, inputs.sources);
  }
  return inputs.sources;
}

std::set<int64_t> Tracer::Layer(Primitive primitive, const Parameter* weight,
                                const Parameter* bias,
                                const std::set<int64_t>& sources) {
  if (weight == nullptr) return sources;
  const std::set<int64_t> result = Append({.primitive = primitive,
                                           .parameter = weight->name,
                                           .shape = weight->shape},
                                          sources);
  if (bias == nullptr) return result;
  return Append({.primitive = Primitive::kBias,
                 .parameter = bias->name,
                 .shape = bias->shape},
                result);
}

std::set<int64_t> Tracer::NormLayer(Primitive primitive, const Inputs& inputs) {
  const Parameter* const weight = inputs.Find("weight", 1);
  if (weight == nullptr) return inputs.sources;
  const Parameter* const bias = inputs.Find("bias", 1);
  return Append({.primitive = primitive,
                 .parameter = weight->name,
                 .norm_bias = bias == nullptr ? "" : bias->name,
                 .shape = weight->shape},
                inputs.sources);
}

std::set<int64_t> Tracer::Sum(const Inputs& inputs) {
  if (inputs.data_count > 1 && inputs.sources.size() > 1) {
    return Append({.primitive = Primitive::kSum}, inputs.sources);
  }
  // A linear layer over more than two dimensions may add its bias by itself.
  const Parameter* const bias = inputs.Find("bias", 1);
  if (bias != nullptr && inputs.sources.size() == 1) {
    const GraphNode& before = graph_.nodes[*inputs.sources.begin()];
    if (before.shape.size() > 1 &&
        before.parameter ==
            absl::StrCat(absl::StripSuffix(bias->name, "bias"), "weight")) {
      return Append({.primitive = Primitive::kBias,
                     .parameter = bias->name,
                     .shape = bias->shape},
                    inputs.sources);
    }
  }
  return inputs.sources;
}

std::set<int64_t> Tracer::Append(GraphNode node,
                                 const std::set<int64_t>& sources) {
  const auto index = static_cast<int64_t>(graph_.nodes.size());
  graph_.nodes.push_back(std::move(node));
  for (const int64_t from : sources) graph_.edges.push_back({from, index});
  return {index};
}

}  // namespace

absl::StatusOr<NetworkGraph> TraceGraph(
    torch::nn::Module& model,
    absl::FunctionRef<at::Tensor(const at::Tensor&)> forward,
    const at::Tensor& images) {
  const at::AutoGradMode with_gradients(true);
  const ProbeMode evaluating(model, BatchNormMode::kBuffers);
  // Asked for gradients too, so that autograd says what depends on it.
  const at::Tensor input = images.detach().requires_grad_();
  const at::Tensor output = forward(input);
  Tracer tracer(model, input);
  if (output.grad_fn() != nullptr) tracer.Visit(*output.grad_fn());
  NetworkGraph graph = tracer.TakeGraph();
  if (std::none_of(graph.nodes.begin(), graph.nodes.end(),
                   [](const auto& node) {
                     return node.shape.size() > 1 && !node.parameter.empty();
                   })) {
    return absl::FailedPreconditionError(
        "initializer.ghn2: no weight of a convolution or linear layer leads "
        "from the model's input to its output.");
  }
  return graph;
}

}  // namespace headstart::initializers
