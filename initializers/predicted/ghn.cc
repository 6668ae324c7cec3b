#include "initializers/predicted/ghn.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <set>
#include <utility>

#include <ATen/core/Generator.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gru_cell.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

#include "base/check.h"

namespace headstart::initializers {
namespace {

// Longest path that becomes a virtual edge.
constexpr int64_t kPathMax = 50;

// The sizes of channels that have an embedding of their own.
std::vector<int64_t> ChannelTable(int64_t classes) {
  std::set<int64_t> table = {1, 3, classes};
  for (int64_t n = 8; n < 64; n += 8) table.insert(n);
  for (int64_t n = 64; n < 4096; n += 16) table.insert(n);
  for (int64_t n = 4096; n <= 8192; n += 32) table.insert(n);
  return {table.begin(), table.end()};
}

// And those of kernels.
std::vector<int64_t> SpatialTable(int64_t kernel) {
  std::set<int64_t> table = {14, 16};
  for (int64_t n = 1; n < std::max<int64_t>(12, kernel); n += 2) {
    table.insert(n);
  }
  return {table.begin(), table.end()};
}

// The row of `size`, or of the nearest there is, the smaller of two.
int64_t RowOf(const std::vector<int64_t>& table, int64_t size) {
  int64_t best = 0;
  for (int64_t row = 1; row < static_cast<int64_t>(table.size()); ++row) {
    if (std::abs(table[row] - size) < std::abs(table[best] - size)) best = row;
  }
  return best;
}

// The exceptions of the published code: where no row is exactly right.
int64_t ChannelRow(const std::vector<int64_t>& table, int64_t size) {
  const bool exact = std::binary_search(table.begin(), table.end(), size);
  return RowOf(table, !exact && size >= 4 && size <= 7 ? 8 : size);
}
int64_t SpatialRow(const std::vector<int64_t>& table, int64_t size) {
  return RowOf(table, size == 2 ? 3 : size);
}

// A parameter's shape as [out, in, height, width].
std::array<int64_t, 4> Whole(const std::vector<int64_t>& shape) {
  HS_CHECK_LE(shape.size(), 4u);
  std::array<int64_t, 4> sizes = {1, 1, 1, 1};
  std::copy(shape.begin(), shape.end(), sizes.begin());
  return sizes;
}

// `x` cut to `shape`, or repeated where it is the smaller one.
at::Tensor Tiled(at::Tensor x, const std::vector<int64_t>& shape) {
  HS_CHECK_EQ(x.dim(), static_cast<int64_t>(shape.size()));
  std::vector<int64_t> times;
  for (int64_t dim = 0; dim < x.dim(); ++dim) {
    times.push_back((shape[dim] + x.size(dim) - 1) / x.size(dim));
  }
  x = x.repeat(times);
  for (int64_t dim = 0; dim < x.dim(); ++dim) {
    x = x.narrow(dim, 0, shape[dim]);
  }
  return x.contiguous();
}

// Fan-in scaling of weights. The factor 2 is ReLU's, which a depthwise
// convolution is without.
at::Tensor NormalizedWeight(const at::Tensor& weight) {
  const double fan_in =
      static_cast<double>(weight.numel()) / static_cast<double>(weight.size(0));
  const bool plain = weight.dim() > 2 &&
                     (weight.size(1) == 1 || weight.size(2) < weight.size(3));
  return weight * std::sqrt((plain ? 1 : 2) / fan_in);
}

at::Tensor NormalizedScale(const at::Tensor& x) {
  return 2 * (0.5 * x).sigmoid();
}

at::Tensor NormalizedBias(const at::Tensor& x) { return (0.2 * x).tanh(); }

// The nodes in groups within which nobody hears another; whom one hears is in a
// group before. In `order` whom one hears comes first too.
std::vector<std::vector<int64_t>> Independent(const std::vector<int64_t>& order,
                                              const GraphNeighbours& heard) {
  std::vector<std::vector<int64_t>> groups;
  std::vector<size_t> group(order.size());
  for (const int64_t node : order) {
    for (const auto& [from, length] : heard[node]) {
      group[node] = std::max(group[node], group[from] + 1);
    }
    if (group[node] == groups.size()) groups.emplace_back();
    groups[group[node]].push_back(node);
  }
  return groups;
}

}  // namespace

Ghn::Ghn(const GhnOptions& options)
    : options_(options),
      channel_table_(ChannelTable(options.classes)),
      spatial_table_(SpatialTable(options.kernel)) {
  const auto& [classes, channels, kernel, hidden] = options;
  HS_CHECK(classes > 0 && channels > 0 && kernel > 0 && hidden > 0);
  HS_CHECK_EQ(hidden % 4, 0);
  const auto rows = [](const std::vector<int64_t>& table) {
    return static_cast<int64_t>(table.size()) + 1;  // The last: no shape.
  };
  embed_ = Add("embed", "weight", {kPrimitives, hidden});
  embed_channel_ = Add("shape_enc.embed_channel", "weight",
                       {rows(channel_table_), hidden / 4});
  embed_spatial_ = Add("shape_enc.embed_spatial", "weight",
                       {rows(spatial_table_), hidden / 4});
  for (auto& [mlp, name] :
       {std::pair(&mlp_, "gnn.mlp.fc"), std::pair(&mlp_ve_, "gnn.mlp_ve.fc")}) {
    mlp->first = AddAffine(absl::StrCat(name, ".0"), {hidden / 2, hidden});
    mlp->second = AddAffine(absl::StrCat(name, ".2"), {hidden, hidden / 2});
  }
  gru_weight_ih_ = Add("gnn.gru", "weight_ih", {3 * hidden, hidden});
  gru_weight_hh_ = Add("gnn.gru", "weight_hh", {3 * hidden, hidden});
  gru_bias_ih_ = Add("gnn.gru", "bias_ih", {3 * hidden});
  gru_bias_hh_ = Add("gnn.gru", "bias_hh", {3 * hidden});
  ln_ = AddAffine("ln", {hidden});
  decoder_fc_ =
      AddAffine("decoder.fc.0", {4 * hidden * kernel * kernel, hidden});
  decoder_conv_0_ = AddAffine("decoder.conv.0", {8 * hidden, 4 * hidden, 1, 1});
  decoder_conv_2_ =
      AddAffine("decoder.conv.2", {channels * channels, 8 * hidden, 1, 1});
  decoder_class_ =
      AddAffine("decoder.class_layer_predictor.1", {classes, channels, 1, 1});
  decoder_1d_0_ = AddAffine("decoder_1d.fc.0", {2 * hidden, hidden});
  decoder_1d_2_ = AddAffine("decoder_1d.fc.2", {2 * channels, 2 * hidden});
  bias_class_ = AddAffine("bias_class.1", {classes, channels});
}

// A parameter of the module at this path below, which is made if need be.
at::Tensor Ghn::Add(absl::string_view module, const std::string& name,
                    at::IntArrayRef sizes) {
  torch::nn::Module* at = this;
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(module, '.'))) {
    const auto children = at->named_children();
    const auto* child = children.find(part);
    at = child != nullptr
             ? child->get()
             : at->register_module(part, std::make_shared<torch::nn::Module>())
                   .get();
  }
  return at->register_parameter(name, at::empty(sizes));
}

Ghn::Affine Ghn::AddAffine(absl::string_view module, at::IntArrayRef sizes) {
  return {Add(module, "weight", sizes), Add(module, "bias", sizes[0])};
}

void Ghn::Draw(at::Generator& generator) {
  const at::NoGradGuard no_grad;
  for (const at::Tensor& table : {embed_, embed_channel_, embed_spatial_}) {
    table.normal_(0, 1, generator);
  }
  const auto uniform = [&](const at::Tensor& x, int64_t fan) {
    const double bound = 1 / std::sqrt(static_cast<double>(fan));
    x.uniform_(-bound, bound, generator);
  };
  for (const at::Tensor& x :
       {gru_weight_ih_, gru_weight_hh_, gru_bias_ih_, gru_bias_hh_}) {
    uniform(x, options_.hidden);
  }
  for (const Affine& layer :
       {mlp_.first, mlp_.second, mlp_ve_.first, mlp_ve_.second, decoder_fc_,
        decoder_conv_0_, decoder_conv_2_, decoder_class_, decoder_1d_0_,
        decoder_1d_2_, bias_class_}) {
    uniform(layer.weight, layer.weight.size(1));
    uniform(layer.bias, layer.weight.size(1));
  }
  ln_.weight.fill_(1);
  ln_.bias.zero_();
}

absl::Status Ghn::Accepts(const NetworkGraph& graph, bool classifier) const {
  for (const GraphNode& node : graph.nodes) {
    if (node.parameter.empty()) continue;
    const auto [out, in, height, width] = Whole(node.shape);
    if (height > options_.kernel || width > options_.kernel) {
      return absl::FailedPreconditionError(
          absl::StrCat(node.parameter, " is [", absl::StrJoin(node.shape, ", "),
                       "]: the hypernetwork predicts kernels up to ",
                       options_.kernel, "x", options_.kernel, "."));
    }
  }
  if (classifier && EndsWithClassifier(graph)) {
    const GraphNode& bias = graph.nodes.back();
    if (bias.shape.front() != options_.classes) {
      return absl::FailedPreconditionError(absl::StrCat(
          bias.parameter, " is of ", bias.shape.front(),
          " classes, the hypernetwork predicts ", options_.classes,
          ". Leave the classifier out: predict_classifier: false."));
    }
  }
  return absl::OkStatus();
}

PredictedTensors Ghn::forward(const NetworkGraph& graph, bool classifier) {
  return Decode(graph, Embed(graph).final, classifier);
}

std::vector<PredictedTensors> Ghn::forward(
    absl::Span<const NetworkGraph* const> graphs, bool classifier) {
  // Side by side they are one graph, whose parts know nothing of each other.
  NetworkGraph all;
  for (const NetworkGraph* graph : graphs) {
    const auto offset = static_cast<int64_t>(all.nodes.size());
    all.nodes.insert(all.nodes.end(), graph->nodes.begin(), graph->nodes.end());
    for (const GraphEdge& edge : graph->edges) {
      all.edges.push_back({edge.from + offset, edge.to + offset});
    }
  }
  const at::Tensor final = Embed(all).final;
  std::vector<PredictedTensors> predicted;
  int64_t offset = 0;
  for (const NetworkGraph* graph : graphs) {
    const auto count = static_cast<int64_t>(graph->nodes.size());
    predicted.push_back(
        Decode(*graph, final.narrow(0, offset, count), classifier));
    offset += count;
  }
  return predicted;
}

GhnEmbeddings Ghn::Embed(const NetworkGraph& graph) const {
  GhnEmbeddings embeddings;
  embeddings.input = InputEmbedding(graph);
  embeddings.gnn = PassMessages(graph, embeddings.input);
  embeddings.final =
      at::layer_norm(embeddings.gnn, {options_.hidden}, ln_.weight, ln_.bias);
  return embeddings;
}

std::array<int64_t, 4> Ghn::ShapeCode(const GraphNode& node) const {
  if (node.shape.empty()) {
    const auto none = static_cast<int64_t>(channel_table_.size());
    const auto no_kernel = static_cast<int64_t>(spatial_table_.size());
    return {none, none, no_kernel, no_kernel};
  }
  const auto [out, in, height, width] = Whole(node.shape);
  return {ChannelRow(channel_table_, out), ChannelRow(channel_table_, in),
          SpatialRow(spatial_table_, height),
          SpatialRow(spatial_table_, width)};
}

at::Tensor Ghn::InputEmbedding(const NetworkGraph& graph) const {
  std::vector<int64_t> primitives;
  std::array<std::vector<int64_t>, 4> codes;
  for (const GraphNode& node : graph.nodes) {
    primitives.push_back(static_cast<int64_t>(node.primitive));
    const std::array<int64_t, 4> code = ShapeCode(node);
    for (size_t i = 0; i < code.size(); ++i) codes[i].push_back(code[i]);
  }
  const auto look_up = [](const at::Tensor& table,
                          const std::vector<int64_t>& rows) {
    return table.index_select(0,
                              at::tensor(rows, at::kLong).to(table.device()));
  };
  const at::Tensor shape = at::cat(
      {look_up(embed_channel_, codes[0]), look_up(embed_channel_, codes[1]),
       look_up(embed_spatial_, codes[2]), look_up(embed_spatial_, codes[3])},
      1);
  return look_up(embed_, primitives) + shape;
}

// The gated graph network: nodes are updated one after the other, first from
// the input to the output, then back; those that do not hear each other at
// once. A node hears its direct neighbours, and everyone whom a path of at most
// kPathMax edges connects with it, those with a weight of 1 / length. As the
// published code has it, the direct ones are among them (equation 4 leaves them
// out).
at::Tensor Ghn::PassMessages(const NetworkGraph& graph,
                             const at::Tensor& input) const {
  const auto count = static_cast<int64_t>(graph.nodes.size());
  GraphNeighbours before(count), after(count);
  for (const GraphPath& path : ShortestPaths(graph, kPathMax)) {
    before[path.to].emplace_back(path.from, path.length);
    after[path.from].emplace_back(path.to, path.length);
  }
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  const at::Tensor state = Sweep(input, order, before);
  std::reverse(order.begin(), order.end());
  return Sweep(state, order, after);
}

// Updates all nodes, those in `order` first whom others hear.
at::Tensor Ghn::Sweep(const at::Tensor& state,
                      const std::vector<int64_t>& order,
                      const GraphNeighbours& neighbours) const {
  // ReLU after both layers.
  const auto message = [](const Mlp& mlp, const at::Tensor& x) {
    const at::Tensor y = at::linear(x, mlp.first.weight, mlp.first.bias).relu();
    return at::linear(y, mlp.second.weight, mlp.second.bias).relu();
  };
  const auto indices = [&](const std::vector<int64_t>& nodes) {
    return at::tensor(nodes, at::kLong).to(state.device());
  };
  std::vector<at::Tensor> updated;
  // What the nodes that have been updated tell the others, and in which row.
  std::vector<at::Tensor> direct, by_path;
  std::vector<int64_t> row(order.size());
  int64_t rows = 0;
  for (const std::vector<int64_t>& group : Independent(order, neighbours)) {
    const at::Tensor own = state.index_select(0, indices(group));
    at::Tensor sum = at::zeros_like(own);
    if (rows > 0) {
      const auto size = static_cast<int64_t>(group.size());
      std::vector<double> of_direct(size * rows), of_path(size * rows);
      for (int64_t i = 0; i < size; ++i) {
        for (const auto& [from, length] : neighbours[group[i]]) {
          const int64_t at = i * rows + row[from];
          if (length == 1) of_direct[at] = 1;
          of_path[at] = 1 / static_cast<double>(length);
        }
      }
      const auto heard = [&](const std::vector<double>& weights,
                             const std::vector<at::Tensor>& told) {
        return at::tensor(weights, state.options())
            .view({size, rows})
            .mm(at::cat(told));
      };
      sum = heard(of_direct, direct) + heard(of_path, by_path);
    }
    const at::Tensor next = at::gru_cell(
        sum, own, gru_weight_ih_, gru_weight_hh_, gru_bias_ih_, gru_bias_hh_);
    updated.push_back(next);
    direct.push_back(message(mlp_, next));
    by_path.push_back(message(mlp_ve_, next));
    for (const int64_t node : group) row[node] = rows++;
  }
  return at::cat(updated).index_select(0, indices(row));
}

PredictedTensors Ghn::Decode(const NetworkGraph& graph, const at::Tensor& final,
                             bool classifier) const {
  PredictedTensors predicted;
  const size_t ordinary =
      graph.nodes.size() - (EndsWithClassifier(graph) ? 2 : 0);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& node = graph.nodes[i];
    if (node.parameter.empty() || (i >= ordinary && !classifier)) continue;
    const at::Tensor row = final[static_cast<int64_t>(i)];
    at::Tensor& parameter = predicted[node.parameter];
    if (node.shape.size() > 1) {
      at::Tensor weight;
      if (i >= ordinary) {
        weight = DecodeClassifier(row);
      } else {
        weight = DecodeKernel(row, Whole(node.shape));
        if (node.shape.size() == 2) weight = weight.flatten(1);
      }
      parameter = NormalizedWeight(Tiled(weight, node.shape));
      continue;
    }
    const at::Tensor vectors = DecodeVectors(row);
    if (i >= ordinary) {
      parameter = NormalizedBias(
          at::linear(vectors[1].relu(), bias_class_.weight, bias_class_.bias));
    } else if (node.primitive == Primitive::kBias) {
      parameter = NormalizedBias(Tiled(vectors[1], node.shape));
    } else {
      parameter = NormalizedScale(Tiled(vectors[0], node.shape));
      if (!node.norm_bias.empty()) {
        predicted[node.norm_bias] =
            NormalizedBias(Tiled(vectors[1], node.shape));
      }
    }
  }
  return predicted;
}

// The decoder's 1x1 convolutions are products with the positions as columns;
// only the positions and channels that are wanted are computed.
at::Tensor Ghn::DecodeKernel(const at::Tensor& row,
                             at::IntArrayRef sizes) const {
  const auto& [classes, channels, kernel, hidden] = options_;
  const int64_t out = std::min(sizes[0], channels);
  const int64_t in = std::min(sizes[1], channels);
  const int64_t height = sizes[2], width = sizes[3];
  const auto wanted = [&](const at::Tensor& x) {
    return x.unflatten(0, {4 * hidden, kernel, kernel})
        .narrow(1, 0, height)
        .narrow(2, 0, width)
        .flatten(0, 2);
  };
  at::Tensor x =
      at::linear(row, wanted(decoder_fc_.weight), wanted(decoder_fc_.bias))
          .relu()
          .view({4 * hidden, height * width});
  x = decoder_conv_0_.weight.flatten(1)
          .mm(x)
          .add(decoder_conv_0_.bias.unsqueeze(1))
          .relu();
  const auto wanted_channels = [&](const at::Tensor& x) {
    return x.unflatten(0, {channels, channels})
        .narrow(0, 0, out)
        .narrow(1, 0, in)
        .flatten(0, 1);
  };
  x = wanted_channels(decoder_conv_2_.weight.flatten(1))
          .mm(x)
          .add(wanted_channels(decoder_conv_2_.bias).unsqueeze(1));
  return x.view({out, in, height, width});
}

// [classes, channels]: a 1x1 convolution over the output channels.
at::Tensor Ghn::DecodeClassifier(const at::Tensor& row) const {
  const at::Tensor x =
      DecodeKernel(row, {options_.channels, options_.channels, 1, 1})
          .flatten(1)
          .relu();
  return decoder_class_.weight.flatten(1).mm(x).add(
      decoder_class_.bias.unsqueeze(1));
}

at::Tensor Ghn::DecodeVectors(const at::Tensor& row) const {
  const at::Tensor x =
      at::linear(row, decoder_1d_0_.weight, decoder_1d_0_.bias).relu();
  return at::linear(x, decoder_1d_2_.weight, decoder_1d_2_.bias)
      .view({2, options_.channels});
}

}  // namespace headstart::initializers
