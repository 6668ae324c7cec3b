// Networks that are data: networks.json of a golden set.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/relu.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/normalization.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"

#include "base/check.h"
#include "tests/golden/golden_tensors.h"
#include "worker/models/layers.h"

namespace headstart {

// Nodes run in their order; parameters are named <node>.weight and <node>.bias.
class GoldenNetwork final : public torch::nn::Module {
 public:
  explicit GoldenNetwork(const nlohmann::json& network)
      : output_(network["output"]) {
    for (const nlohmann::json& node : network["nodes"]) {
      nodes_.push_back({node["name"], node["inputs"], Make(node)});
    }
  }

  // Takes init/<parameter> and buffer/<buffer>, which must be all there are.
  void Load(const Tensors& stored) {
    const at::NoGradGuard no_grad;
    for (auto& each : named_parameters()) {
      each.value().copy_(stored.at("init/" + each.key()));
    }
    for (auto& each : named_buffers()) {
      const auto buffer = stored.find("buffer/" + each.key());
      if (buffer != stored.end()) each.value().copy_(buffer->second);
    }
  }

  at::Tensor forward(const at::Tensor& input) {
    std::map<std::string, at::Tensor> values = {{"input", input}};
    for (const Node& node : nodes_) {
      std::vector<at::Tensor> inputs;
      for (const std::string& name : node.inputs) {
        inputs.push_back(values.at(name));
      }
      values[node.name] = node.run(inputs);
    }
    return values.at(output_);
  }

 private:
  using Run = std::function<at::Tensor(const std::vector<at::Tensor>&)>;
  struct Node {
    std::string name;
    std::vector<std::string> inputs;
    Run run;
  };

  // Puts a layer where its dotted name says.
  template <typename Layer>
  Layer Register(const std::string& path, Layer layer) {
    torch::nn::Module* parent = this;
    std::vector<std::string> parts = absl::StrSplit(path, '.');
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto children = parent->named_children();
      const auto* const child = children.find(parts[i]);
      parent = child != nullptr
                   ? child->get()
                   : parent
                         ->register_module(
                             parts[i], std::make_shared<torch::nn::Module>())
                         .get();
    }
    parent->register_module(parts.back(), layer);
    return layer;
  }

  Run Make(const nlohmann::json& node) {
    const std::string op = node["op"];
    const std::string name = node["name"];
    if (op == "linear") {
      auto layer = Register(
          name,
          worker::Linear(torch::nn::LinearOptions(node["in"].get<int64_t>(),
                                                  node["out"].get<int64_t>())
                             .bias(node["bias"].get<bool>())));
      return [layer](const auto& x) mutable { return layer->forward(x[0]); };
    }
    if (op == "conv2d") {
      auto layer = Register(
          name,
          worker::Conv2d(torch::nn::Conv2dOptions(node["in"].get<int64_t>(),
                                                  node["out"].get<int64_t>(),
                                                  node["kernel"].get<int64_t>())
                             .stride(node["stride"].get<int64_t>())
                             .padding(node["padding"].get<int64_t>())
                             .groups(node["groups"].get<int64_t>())
                             .bias(node["bias"].get<bool>())));
      return [layer](const auto& x) mutable { return layer->forward(x[0]); };
    }
    if (op == "batch_norm2d") {
      auto layer = Register(
          name, torch::nn::BatchNorm2d(node["features"].get<int64_t>()));
      return [layer](const auto& x) mutable { return layer->forward(x[0]); };
    }
    if (op == "layer_norm") {
      auto layer =
          Register(name, torch::nn::LayerNorm(torch::nn::LayerNormOptions(
                             {node["features"].get<int64_t>()})));
      return [layer](const auto& x) mutable { return layer->forward(x[0]); };
    }
    if (op == "relu") return [](const auto& x) { return at::relu(x[0]); };
    if (op == "leaky_relu") {
      const double slope = node.value("slope", 0.01);
      return [slope](const auto& x) { return at::leaky_relu(x[0], slope); };
    }
    if (op == "add") return [](const auto& x) { return x[0] + x[1]; };
    HS_CHECK_EQ(op, "mean_hw");
    return [](const auto& x) { return x[0].mean({2, 3}); };
  }

  const std::string output_;
  std::vector<Node> nodes_;
};

}  // namespace headstart
