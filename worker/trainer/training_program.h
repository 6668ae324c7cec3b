// TrainingProgram: what a run does with its tensors beside taking steps.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

#include "worker/trainer/distiller.h"
#include "worker/trainer/snapshot.h"
#include "worker/trainer_protocol/messages.h"
#include "worker/training/phase_place.h"

namespace headstart::worker {

// A run of several phases: levels of pruning (pruner.h) or stages (stager.h).
// All that a phase goes by belongs to the run's state or follows from spec,
// seed and epoch, so a resumed run goes on as it would have. One thread.
class TrainingProgram {
 public:
  virtual ~TrainingProgram() = default;

  // Tensors beside the model's own that belong to the weights of an epoch.
  virtual std::vector<StateTensor> weights() const = 0;
  // Those that only the run itself goes on from; on the CPU.
  virtual std::vector<StateTensor> state() const = 0;

  // The model has its first values.
  virtual absl::Status Begin() = 0;

  // `epoch` counts from 1.
  virtual PhasePlace PlaceOf(int64_t epoch) const = 0;

  // Changes the model for `phase`, which is not the first: its tensors may be
  // written to, wherever they are.
  virtual absl::Status BeginPhase(int64_t phase) = 0;

  // Before the first epoch of a phase and the first one of a resumed run: sets
  // up what is not part of the state.
  //   Cancelled  `cancelled` said so.
  virtual absl::Status EnterPhase(int64_t phase,
                                  absl::FunctionRef<bool()> cancelled) = 0;

  virtual void AfterStep() {}
  virtual void AfterEpoch(int64_t /*epoch*/) {}
  virtual void Measure(Measurement& /*measurement*/) const {}

  // Positions of the training examples that the phase has; empty: all.
  virtual const std::vector<int32_t>& examples() const {
    static const std::vector<int32_t> all;
    return all;
  }

  // Null: the phase has no teacher.
  virtual const Distiller* distiller() const { return nullptr; }
};

}  // namespace headstart::worker
