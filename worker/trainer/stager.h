// Stager: what a run in stages does between them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "initializers/state_dict.h"
#include "worker/datasets/dataset.h"
#include "worker/models/precision.h"
#include "worker/trainer/fresh_model.h"
#include "worker/trainer/training_program.h"
#include "worker/training/optimizer.h"
#include "worker/training/stages.h"

namespace headstart::worker {

// What stages are made from.
struct StageSetup {
  StagedTraining stages;
  int64_t epochs;  // Of the run: whole stages.
  int64_t seed;
  initializers::InitializerOptions initializer;  // The run's.
  ModelFactory make_model;
  Examples examples;  // That are trained on.
  int64_t batch_size;
  Precision precision;
};

// Draws fresh weights and computes what is inserted on the CPU, so the same
// weights give the same on every device.
class Stager final : public TrainingProgram {
 public:
  //   InvalidArgument     layer-wise stages of more groups than the model has
  //                       blocks, or too few examples in the first stage.
  //   FailedPrecondition  the model does not say where its blocks end, and
  //                       something is to be inserted there.
  static absl::StatusOr<std::unique_ptr<Stager>> Make(const StageSetup& setup,
                                                      Model& model,
                                                      Optimizer& optimizer);

  // "inserted.<blocks before it>.mean" and ".deviation".
  std::vector<StateTensor> weights() const override { return inserted_; }
  // The norms of epoch 0 and "teacher.<tensor>", where they are needed: zeros
  // in the first stage.
  std::vector<StateTensor> state() const override { return state_; }

  absl::Status Begin() override;
  PhasePlace PlaceOf(int64_t epoch) const override;
  absl::Status BeginPhase(int64_t phase) override;
  absl::Status EnterPhase(int64_t phase,
                          absl::FunctionRef<bool()> cancelled) override;
  const std::vector<int32_t>& examples() const override { return there_; }
  const Distiller* distiller() const override {
    return has_teacher_ ? &*distiller_ : nullptr;
  }

 private:
  Stager(const StageSetup& setup, Model& model, Optimizer& optimizer);

  const LayerWiseStages* layer_wise() const {
    return std::get_if<LayerWiseStages>(&setup_.stages.method);
  }
  uint64_t DrawSeed(int64_t phase) const;
  absl::Status CheckBlocks();
  // Makes the tensors of `inserted_`, which change nothing yet.
  absl::Status PlaceNorms();
  void ListState();
  // Of a network with the tensors `inserted` in the phase.
  std::vector<InsertedNorm> NormsOf(const std::vector<StateTensor>& inserted,
                                    int64_t phase) const;
  void SetTeacherTensors();
  std::vector<int32_t> ExamplesOf(int64_t phase) const;
  // The tensors of `fresh` become what the phase begins from.
  void Combine(Model& fresh, int64_t phase);
  void KeepGroups(Model& fresh, int64_t phase);
  void Normalize(Model& fresh, int64_t phase);

  const StageSetup setup_;
  Model& model_;
  Optimizer& optimizer_;
  const std::vector<initializers::NamedTensor> tensors_;  // The model's.
  int64_t block_count_ = 0;
  std::vector<StateTensor> inserted_;  // Mean and deviation, group by group.
  std::vector<StateTensor> state_;
  at::Tensor norms_;  // F64 [parameters]; undefined: not needed.
  std::vector<StateTensor> teacher_;  // As tensors_, then as inserted_.
  std::optional<Distiller> distiller_;
  bool has_teacher_ = false;
  std::vector<int32_t> there_;
};

}  // namespace headstart::worker
