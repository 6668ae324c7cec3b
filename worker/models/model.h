// Model: what a training trains.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

namespace headstart::worker {

// What a model gives while it trains.
struct TrainingOutput {
  at::Tensor logits;            // [batch, classes]
  at::Tensor auxiliary_logits;  // The same, or undefined without such a head.
};

// A frozen normalization between two blocks (initializers/blocks.h).
struct InsertedNorm {
  at::Tensor mean;       // [channels], or [1] for all of them.
  at::Tensor deviation;  // As mean, above 0.
  bool is_active = false;
};

// A network that tells images apart.
//
// The names that a model gives to its modules, parameters and buffers are keys
// in stored manifests: renaming one is a format change. Constructors build the
// layers; an initializer fills all of their tensors afterwards, so what torch's
// constructors draw is never used.
class Model : public torch::nn::Module {
 public:
  // From normalized images [batch, channels, height, width] to logits [batch,
  // classes].
  virtual at::Tensor forward(const at::Tensor& images) = 0;

  // The same in training mode, for models whose loss has a second term.
  virtual TrainingOutput ForwardTraining(const at::Tensor& images) {
    return {.logits = forward(images), .auxiliary_logits = {}};
  }

  // Whether other devices cannot train it: a recorded step would not decide
  // anew what it decides on the CPU.
  virtual bool OnlyOnCpu() const { return false; }

  // What stands behind each block but the last; may be shorter, as it is with
  // nothing inserted.
  void Insert(std::vector<InsertedNorm> norms) { inserted_ = std::move(norms); }

  // Gets the output of each block but the last, [batch, channels, ...], before
  // what is inserted there. Models that do not say where their blocks end never
  // call it.
  using BlockListener =
      std::function<void(int64_t block, const at::Tensor& output)>;
  void ListenToBlocks(BlockListener listener) {
    listener_ = std::move(listener);
  }

 protected:
  // What the next block sees of the output of `block`, which counts from 0.
  // Here, since a plug-in shares no code with headstart.
  at::Tensor EndBlock(int64_t block, const at::Tensor& output) const {
    if (listener_) listener_(block, output);
    if (block >= static_cast<int64_t>(inserted_.size())) return output;
    const InsertedNorm& norm = inserted_[block];
    if (!norm.is_active) return output;
    std::vector<int64_t> shape(output.dim(), 1);
    shape[1] = norm.mean.numel();
    return output.sub(norm.mean.view(shape)).div(norm.deviation.view(shape));
  }

 private:
  std::vector<InsertedNorm> inserted_;
  BlockListener listener_;
};

}  // namespace headstart::worker
