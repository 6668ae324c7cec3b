// Pruner: the masks of a run that is pruned, and what its levels begin from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "initializers/stored_tensor.h"
#include "worker/models/model.h"
#include "worker/trainer/fresh_model.h"
#include "worker/trainer/training_program.h"
#include "worker/training/optimizer.h"
#include "worker/training/pruning.h"

namespace headstart::worker {

// Masks the weights of linear and convolutional layers, and their biases where
// that is asked for. Masks and start belong to the run's state, so a resumed
// run has them. One thread.
class Pruner final : public TrainingProgram {
 public:
  // Nothing is pruned yet. The model's tensors may move to other memory.
  Pruner(const IterativePruning& options, int64_t seed, ModelFactory make_model,
         Model& model, Optimizer& optimizer);

  // "mask.<parameter>": BOOL, false is pruned.
  std::vector<StateTensor> weights() const override { return masks_; }
  // "start.<tensor>": what the model's tensors are set to when a level begins;
  // none with kNothing.
  std::vector<StateTensor> state() const override { return start_; }

  // Also leaves out what the masks of a stored checkpoint leave out.
  //   FailedPrecondition  one is of a tensor that is not pruned here.
  absl::Status TakeMasks(absl::Span<const initializers::StoredTensor> masks);

  absl::Status Begin() override;
  PhasePlace PlaceOf(int64_t epoch) const override {
    return worker::PlaceOf(options_, epoch);
  }
  // Prunes by the present values and sets the others back.
  absl::Status BeginPhase(int64_t level) override;
  absl::Status EnterPhase(int64_t, absl::FunctionRef<bool()>) override {
    return absl::OkStatus();
  }
  // Sets what is pruned to 0.
  void AfterStep() override;
  void AfterEpoch(int64_t epoch) override;
  // Fills in what is left.
  void Measure(Measurement& measurement) const override;

 private:
  struct Pruned {
    at::Tensor parameter;
    int64_t layer;
    bool is_output;
  };

  // Makes values, the model's or others, what levels begin from.
  void KeepStart(const std::vector<at::Tensor>& values);
  void Prune(int64_t level);

  const IterativePruning options_;
  const int64_t seed_;
  const ModelFactory make_model_;
  Optimizer& optimizer_;
  std::vector<at::Tensor> tensors_;  // All of the model; as start_.
  std::vector<Pruned> pruned_;       // As masks_.
  std::vector<StateTensor> masks_;
  std::vector<StateTensor> start_;
};

}  // namespace headstart::worker
