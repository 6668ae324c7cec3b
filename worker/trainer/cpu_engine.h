// The engine on the CPU.
#pragma once

#include <cstdint>

#include "worker/trainer/engine.h"
#include "worker/trainer/state_keeper.h"

namespace headstart::worker {

class CpuEngine final : public Engine {
 public:
  CpuEngine(TrainingRun& run, int64_t seed, Clock& clock, Host& host)
      : run_(run),
        keeper_(run, clock, host),
        batches_(run.data.training, run.recipe.augmentation, seed,
                 run.recipe.batch_size) {}

  absl::Status GoOn(PhaseSeconds& seconds) override {
    return keeper_.GoOn(seconds);
  }
  void BeginPhase() override { keeper_.Settle(); }
  void BeginEpoch(int64_t) override { sums_ = {}; }
  absl::Status Step(const StepPlace& place,
                    absl::Span<const int32_t> which) override;
  EpochSums ReadSums() override { return sums_; }
  std::optional<Evaluation> Evaluate(
      EvaluatedPart part, const Examples& examples,
      absl::FunctionRef<bool()> cancelled) override;
  absl::Status TakeSnapshot(int64_t epoch, PhaseSeconds& seconds) override;
  absl::Status Deliver(bool) override { return absl::OkStatus(); }
  int64_t delivered_epoch() const override { return delivered_epoch_; }
  int64_t TakePeakMemory() override;

 private:
  // One step; the batch's mean loss, and no step when that is not finite.
  double TrainBatch(const Batch& batch, absl::Span<const int32_t> which);
  // Adds the gradients of rows `begin` to `end` of the batch, whose loss counts
  // by their share of it; that part of the loss, and no gradients when it is
  // not finite.
  double AddGradients(const Batch& batch, absl::Span<const int32_t> which,
                      int64_t begin, int64_t end);

  TrainingRun& run_;
  StateKeeper keeper_;
  BatchReader batches_;
  EpochSums sums_ = {};
  int64_t delivered_epoch_ = -1;
};

}  // namespace headstart::worker
