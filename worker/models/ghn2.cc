#include "worker/models/ghn2.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/ops/cat.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include "base/check.h"
#include "initializers/predicted/trace_graph.h"

namespace headstart::worker {

using initializers::NetworkGraph;
using initializers::PredictedTensors;

Ghn2::Ghn2(const Ghn2Options& options)
    : options_(options),
      networks_(SampleCnns(options.architecture_seed,
                           options.architectures + kHeldOutCnns)),
      graphs_(networks_.size()),
      ghn_(std::make_shared<initializers::Ghn>(options.ghn)) {
  for (const auto& child : ghn_->named_children()) {
    register_module(child.key(), child.value());
  }
}

void Ghn2::InitializeOwn(at::Generator& generator) { ghn_->Draw(generator); }

at::Tensor Ghn2::forward(const at::Tensor& images) {
  const int64_t examples = images.size(0);
  std::vector<int64_t> networks(
      std::min(examples, is_training() ? options_.meta_batch : kHeldOutCnns));
  const auto parts = static_cast<int64_t>(networks.size());
  if (is_training()) {
    const at::Tensor drawn =
        at::randint(options_.architectures, {parts}, at::kLong);
    std::copy_n(drawn.const_data_ptr<int64_t>(), parts, networks.begin());
  } else {
    std::iota(networks.begin(), networks.end(), options_.architectures);
  }
  const std::vector<PredictedTensors> predicted = Predict(networks);
  std::vector<at::Tensor> logits;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t begin = part * examples / parts;
    const int64_t end = (part + 1) * examples / parts;
    const auto cnn =
        std::make_shared<SampledCnn>(networks_[networks[part]], options_.shape);
    cnn->ComputeWith(predicted[part]);
    logits.push_back(cnn->forward(images.narrow(0, begin, end - begin)));
  }
  return at::cat(logits);
}

std::vector<PredictedTensors> Ghn2::Predict(
    const std::vector<int64_t>& networks) {
  // What is predicted keeps the parameters' precision.
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(
      c10::autocast_dispatch_keyset);
  std::vector<const NetworkGraph*> graphs;
  for (const int64_t network : networks) graphs.push_back(&GraphOf(network));
  return ghn_->forward(graphs, /*classifier=*/true);
}

const NetworkGraph& Ghn2::GraphOf(int64_t network) {
  std::optional<NetworkGraph>& graph = graphs_[network];
  if (!graph.has_value()) {
    const ModelShape& shape = options_.shape;
    const auto cnn = std::make_shared<SampledCnn>(networks_[network], shape);
    auto traced = initializers::TraceGraph(
        *cnn, [&](const at::Tensor& images) { return cnn->forward(images); },
        at::zeros({1, shape.channels, shape.height, shape.width}));
    HS_CHECK(traced.ok()) << traced.status();
    HS_CHECK(ghn_->Accepts(*traced, /*classifier=*/true).ok());
    graph = *std::move(traced);
  }
  return *graph;
}

}  // namespace headstart::worker
