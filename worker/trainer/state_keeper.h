// StateKeeper: gives the host a run's state after each epoch.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"

#include "base/clock.h"
#include "worker/trainer/arena.h"
#include "worker/trainer/host.h"
#include "worker/trainer/training_run.h"

namespace headstart::worker {

// Holds a run's tensors in the host's slabs where it can (arena.h), and copies
// them into a slab after each epoch where it cannot, which it says once. N
// slabs hold N - 1 snapshots beside the arena, N where they are copies.
//
// The loop calls GoOn before the first snapshot and before each epoch, Step for
// each step, TakeSnapshot after each epoch. Cancelled: the host would not have
// it any more.
class StateKeeper final {
 public:
  // After host.Begin. All must outlive the keeper.
  StateKeeper(TrainingRun& run, Clock& clock, Host& host)
      : run_(run), clock_(clock), host_(host) {}

  // Makes the tensors fit to be changed: waits for a slab when they need one.
  absl::Status GoOn(PhaseSeconds& seconds);

  // After GoOn: lets the tensors be written to in place.
  void Settle() {
    if (arena_.has_value()) arena_->Settle();
  }

  // One step of the run's optimizer.
  void Step(const StepOptions& options = {});

  // Sends the state after `epoch`, which must not change before GoOn.
  absl::Status TakeSnapshot(int64_t epoch, PhaseSeconds& seconds);

 private:
  absl::Status AcquireSlab(PhaseSeconds& seconds);

  TrainingRun& run_;
  Clock& clock_;
  Host& host_;
  const absl::Status can_move_ = Arena::CanHold(run_.state);
  std::optional<Arena> arena_;
  int64_t slab_ = -1;  // The last one acquired.
  bool sent_ = true;   // It is the host's; so is none.
  bool told_ = false;
};

}  // namespace headstart::worker
