// Engine: where a run's numbers are computed and its state lives.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"

#include "base/clock.h"
#include "worker/cuda/device.h"
#include "worker/datasets/dataset.h"
#include "worker/measurement/evaluation.h"
#include "worker/trainer/host.h"
#include "worker/trainer/training_run.h"

namespace headstart::worker {

// Where a step is: `step` of `steps` counts from 0.
struct StepPlace {
  int64_t epoch;
  int64_t step;
  int64_t steps;
};

// Over the examples of an epoch that were trained on.
struct EpochSums {
  double loss;
  double correct;
};

enum class EvaluatedPart { kValidation, kTest };

// The loop calls GoOn before the first snapshot and before each epoch,
// BeginEpoch and Step for each epoch and step, TakeSnapshot after each epoch.
// Cancelled: the host would not have it any more. LibTorch's exceptions pass
// through.
class Engine {
 public:
  virtual ~Engine() = default;

  // Makes the tensors fit to be changed.
  virtual absl::Status GoOn(PhaseSeconds& seconds) = 0;

  // After GoOn: lets the tensors be written to outside of a step, which it may
  // copy them for, and looks anew at what a step computes.
  virtual void BeginPhase() = 0;

  virtual void BeginEpoch(int64_t epoch) = 0;

  // One step on the training examples at `which`, with the optimizer's rate.
  //   OutOfRange          the loss is not finite, where that is known already:
  //                       ReadSums tells in any case.
  //   DataLoss, NotFound  an image's file is damaged or gone.
  virtual absl::Status Step(const StepPlace& place,
                            absl::Span<const int32_t> which) = 0;

  // Since BeginEpoch. May wait for the steps asked for.
  virtual EpochSums ReadSums() = 0;

  // As the function of that name; the same examples for every call on a part.
  virtual std::optional<Evaluation> Evaluate(
      EvaluatedPart part, const Examples& examples,
      absl::FunctionRef<bool()> cancelled) = 0;

  // Begins to give the host the state after `epoch`; what follows in the run
  // does not change it.
  virtual absl::Status TakeSnapshot(int64_t epoch, PhaseSeconds& seconds) = 0;
  // Sends snapshots that are complete to the host, or with `wait` all of them.
  virtual absl::Status Deliver(bool wait) = 0;
  // The last epoch that was sent; -1: none.
  virtual int64_t delivered_epoch() const = 0;

  // The most since the last call.
  virtual int64_t TakePeakMemory() = 0;
};

// On `device`, or the CPU where it is null. All must outlive the engine.
std::unique_ptr<Engine> MakeEngine(TrainingRun& run, int64_t seed, Clock& clock,
                                   Host& host, Device* device);

}  // namespace headstart::worker
