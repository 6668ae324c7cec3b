// Pruner: the masks of a run that is pruned, and what its levels begin from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/models/model.h"
#include "worker/trainer/snapshot.h"
#include "worker/trainer_protocol/messages.h"
#include "worker/training/optimizer.h"
#include "worker/training/pruning.h"

namespace headstart::worker {

// Masks the weights of linear and convolutional layers, and their biases where
// that is asked for. Masks and start belong to the run's state, so a resumed
// run has them. One thread.
class Pruner {
 public:
  // Nothing is pruned yet. The model's tensors may move to other memory.
  Pruner(const IterativePruning& options, uint64_t seed, Model& model);

  // "mask.<parameter>": BOOL, false is pruned.
  const std::vector<StateTensor>& masks() const { return masks_; }
  // "start.<tensor>", on the CPU: what the model's tensors are set to when a
  // level begins; none with kNothing.
  const std::vector<StateTensor>& start() const { return start_; }

  // Makes the model's present values the start.
  void KeepStart();

  // Prunes by the present values and sets the others back. The model's tensors
  // may be written to.
  void BeginLevel(int64_t level, Optimizer& optimizer);

  // Sets what is pruned to 0, after a step.
  void ApplyMasks();

  // Fills in what is left.
  void Measure(Measurement& measurement) const;

 private:
  struct Pruned {
    at::Tensor parameter;
    int64_t layer;
    bool is_output;
  };

  void Prune(int64_t level);

  const IterativePruning options_;
  const uint64_t seed_;
  std::vector<at::Tensor> tensors_;  // All of the model; as start_.
  std::vector<Pruned> pruned_;       // As masks_.
  std::vector<StateTensor> masks_;
  std::vector<StateTensor> start_;
};

}  // namespace headstart::worker
