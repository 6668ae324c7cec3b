// An assignment made ready to train: data, model, optimizer, first values.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "base/clock.h"
#include "initializers/state_dict.h"
#include "worker/datasets/registry.h"
#include "worker/models/model.h"
#include "worker/trainer/host.h"
#include "worker/trainer/recipe.h"
#include "worker/trainer/snapshot.h"
#include "worker/trainer/training_program.h"
#include "worker/training/optimizer.h"

namespace headstart::worker {

// Everything that a training changes or reads while it runs.
struct TrainingRun {
  Recipe recipe;
  TrainingData data;
  std::shared_ptr<Model> model;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<TrainingProgram> program;  // Null: it only takes steps.

  // The state after an epoch: what a snapshot holds and a run resumes from.
  // Weights and optimizer are on loan; the last two tensors are written by
  // NoteEpoch.
  std::vector<StateTensor> state;
  at::Tensor generator;  // U8: state of the CPU's default generator.
  at::Tensor position;   // I64 scalar: the epoch.

  // Null: there is no teacher now.
  const Distiller* distiller() const {
    return program == nullptr ? nullptr : program->distiller();
  }

  Started started;  // What to tell the host, read back from all of the above.

  // What the initializer took; nothing when the run resumed. Memory is that of
  // the process, 0 where it cannot be told.
  double initialize_seconds = 0;
  int64_t initialize_peak_bytes = 0;
};

// Seeds this process for the assignment, builds what it trains with, and gives
// the tensors their first values or those of the epoch to go on from. Tells
// the host how an initializer that learns gets on, and asks it whether to stop.
//   InvalidArgument     the spec is wrong in itself or asks for more than the
//                       data set has.
//   Cancelled           stopped while images were being decoded, or an
//                       initializer learned.
//   OutOfRange          what an initializer computes is not finite.
//   FailedPrecondition  model, data and stored weights do not fit together.
//   NotFound, DataLoss  the data set or a source is not there or damaged.
absl::StatusOr<TrainingRun> PrepareRun(const Assignment& assignment,
                                       DatasetReader& datasets,
                                       const Plugins& plugins, Clock& clock,
                                       Host& host);

// FailedPrecondition unless each tensor of a model is contiguous and is
// registered once: a tensor under two names would be updated twice a step.
absl::Status CheckTensors(absl::Span<const initializers::NamedTensor> tensors);

// Brings `run.state` up to date with epoch `epoch`, before it is snapshotted.
void NoteEpoch(TrainingRun& run, int64_t epoch);

}  // namespace headstart::worker
