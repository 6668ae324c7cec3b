// A hypernetwork as a model, so that it is trained as any other.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "initializers/own_default.h"
#include "initializers/predicted/ghn.h"
#include "initializers/predicted/network_graph.h"
#include "worker/models/model.h"
#include "worker/models/model_shape.h"
#include "worker/models/sampled_cnn.h"

namespace headstart::worker {

struct Ghn2Options {
  ModelShape shape;            // Of the images, and the networks' classes.
  int64_t architectures;       // To train on.
  uint64_t architecture_seed;  // Of SampleCnns.
  int64_t meta_batch;          // Networks in a step.
  initializers::GhnOptions ghn;
};

// Behind the networks to train on, this many of SampleCnns' list measure a
// hypernetwork while it trains. What follows them neither trains nor measures.
inline constexpr int64_t kHeldOutCnns = 16;

// GHN-2's training (Knyazev et al. 2021): predict the parameters of networks,
// let them tell images apart, and learn from their loss.
//
// A batch is dealt out, in parts of about the same size, to `meta_batch`
// networks, which LibTorch's default generator picks; or in evaluation to the
// held out ones in their order. Its tensors are the hypernetwork's alone, with
// the names of the published checkpoints.
class Ghn2 final : public Model, public initializers::OwnDefault {
 public:
  // The hypernetwork is at least as large as the largest kernel of SampleCnns.
  explicit Ghn2(const Ghn2Options& options);

  at::Tensor forward(const at::Tensor& images) override;
  bool OnlyOnCpu() const override { return true; }

  void InitializeOwn(at::Generator& generator) override;
  bool DrawsItself(const at::Tensor&) const override { return true; }

 private:
  // The parameters of the networks with these numbers.
  std::vector<initializers::PredictedTensors> Predict(
      const std::vector<int64_t>& networks);
  const initializers::NetworkGraph& GraphOf(int64_t network);

  const Ghn2Options options_;
  const std::vector<CnnLayers> networks_;
  // As they were needed.
  std::vector<std::optional<initializers::NetworkGraph>> graphs_;
  const std::shared_ptr<initializers::Ghn> ghn_;
};

}  // namespace headstart::worker
