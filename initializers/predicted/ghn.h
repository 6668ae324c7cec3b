// A graph hypernetwork: a network that predicts another one's parameters.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "initializers/predicted/network_graph.h"

namespace at {
struct Generator;
}

namespace headstart::initializers {

struct StoredTensor;

// The sizes of a hypernetwork. The defaults are those of the one published for
// CIFAR-10; the one for ImageNet has 1000 classes and a kernel of 16.
struct GhnOptions {
  int64_t classes = 10;   // Of the networks that it predicts.
  int64_t channels = 64;  // Decoded at most; more are repetitions.
  int64_t kernel = 11;    // Largest height and width of a convolution.
  int64_t hidden = 32;    // Width of a node's embedding, a multiple of 4.
};

// What each node has, stage after stage: [nodes, hidden].
struct GhnEmbeddings {
  at::Tensor input;  // Primitive and shape.
  at::Tensor gnn;    // After messages along the graph, there and back.
  at::Tensor final;  // After layer norm.
};

// Whom each node hears: from where, and over how long a path.
using GraphNeighbours = std::vector<std::vector<std::pair<int64_t, int64_t>>>;

using PredictedTensors = std::map<std::string, at::Tensor>;

// GHN-2 (Knyazev et al. 2021, Parameter Prediction for Unseen Deep
// Architectures) with everything that the published ones have: gated graph
// network, virtual edges, layer norm, convolutional decoder, normalized
// predictions.
//
//   graph -> a row per node -> messages -> layer norm -> decoders -> tiled to
//   the parameter's shape -> normalized
//
// Differentiable from its parameters to what it predicts. Its tensors' names
// and shapes are those of the published checkpoints.
class Ghn final : public torch::nn::Module {
 public:
  // Its tensors hold arbitrary values.
  explicit Ghn(const GhnOptions& options);

  // Gives its tensors PyTorch's defaults for these layers.
  void Draw(at::Generator& generator);

  const GhnOptions& options() const { return options_; }

  // Says whether it can predict this graph's parameters, with those of the
  // classifier or without.
  //   FailedPrecondition  a kernel is too large, or another class count.
  absl::Status Accepts(const NetworkGraph& graph, bool classifier) const;

  // The parameters of a graph that it accepts, by name, but for the
  // classifier's if these are not wanted.
  PredictedTensors forward(const NetworkGraph& graph, bool classifier);
  // Of several graphs, each as if alone, in less time.
  std::vector<PredictedTensors> forward(
      absl::Span<const NetworkGraph* const> graphs, bool classifier);

  // The two halves of it.
  GhnEmbeddings Embed(const NetworkGraph& graph) const;
  PredictedTensors Decode(const NetworkGraph& graph, const at::Tensor& final,
                          bool classifier) const;

  // Rows of the shape tables for a node: out and in channels, height, width.
  std::array<int64_t, 4> ShapeCode(const GraphNode& node) const;

 private:
  struct Affine {
    at::Tensor weight;
    at::Tensor bias;
  };
  struct Mlp {
    Affine first;
    Affine second;
  };

  at::Tensor Add(absl::string_view module, const std::string& name,
                 at::IntArrayRef sizes);
  Affine AddAffine(absl::string_view module, at::IntArrayRef sizes);

  at::Tensor InputEmbedding(const NetworkGraph& graph) const;
  at::Tensor PassMessages(const NetworkGraph& graph,
                          const at::Tensor& input) const;
  at::Tensor Sweep(const at::Tensor& state, const std::vector<int64_t>& order,
                   const GraphNeighbours& neighbours) const;
  // [out, in, height, width]
  at::Tensor DecodeKernel(const at::Tensor& row, at::IntArrayRef sizes) const;
  at::Tensor DecodeClassifier(const at::Tensor& row) const;
  at::Tensor DecodeVectors(const at::Tensor& row) const;  // [2, channels]

  const GhnOptions options_;
  const std::vector<int64_t> channel_table_;
  const std::vector<int64_t> spatial_table_;
  at::Tensor embed_;
  at::Tensor embed_channel_;
  at::Tensor embed_spatial_;
  Mlp mlp_;
  Mlp mlp_ve_;
  at::Tensor gru_weight_ih_, gru_weight_hh_, gru_bias_ih_, gru_bias_hh_;
  Affine ln_;
  Affine decoder_fc_;
  Affine decoder_conv_0_, decoder_conv_2_;
  Affine decoder_class_;
  Affine decoder_1d_0_, decoder_1d_2_;
  Affine bias_class_;
};

// A hypernetwork with stored weights; its sizes are those of the tensors.
//   FailedPrecondition  they are not a GHN-2's; the message begins with `where`
//                       and says what does not fit.
absl::StatusOr<std::shared_ptr<Ghn>> LoadGhn(
    absl::string_view where, absl::Span<const StoredTensor> stored);

}  // namespace headstart::initializers
