#include "worker/trainer/state_keeper.h"

#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "worker/trainer/phase_timer.h"
#include "worker/trainer/snapshot.h"

namespace headstart::worker {

absl::Status StateKeeper::AcquireSlab(PhaseSeconds& seconds) {
  const PhaseTimer timer(clock_, seconds.stall);
  const std::optional<int64_t> slab = host_.AcquireSlab();
  if (!slab.has_value()) return absl::CancelledError();
  slab_ = *slab;
  sent_ = false;
  return absl::OkStatus();
}

absl::Status StateKeeper::GoOn(PhaseSeconds& seconds) {
  if (!can_move_.ok()) {
    if (!std::exchange(told_, true)) {
      HS_LOG(kInfo, "checkpoints are copied why=\"{}\"", can_move_.message());
    }
    return absl::OkStatus();
  }
  if (!sent_) return absl::OkStatus();
  HS_RETURN_IF_ERROR(AcquireSlab(seconds));
  const PhaseTimer timer(clock_, seconds.snapshot);
  if (arena_.has_value()) {
    arena_->MoveTo(host_.slab(slab_));
  } else {
    arena_.emplace(run_.state, run_.started.tensors, host_.slab(slab_));
  }
  return absl::OkStatus();
}

void StateKeeper::Step(const StepOptions& options) {
  if (arena_.has_value()) {
    arena_->Step(*run_.optimizer, options);
  } else {
    run_.optimizer->Step(options);
  }
}

absl::Status StateKeeper::TakeSnapshot(int64_t epoch, PhaseSeconds& seconds) {
  if (!arena_.has_value()) HS_RETURN_IF_ERROR(AcquireSlab(seconds));
  const PhaseTimer timer(clock_, seconds.snapshot);
  HS_CHECK(!arena_.has_value() || !arena_->moving());
  NoteEpoch(run_, epoch);
  if (!arena_.has_value()) {
    CopyToSlab(run_.state, run_.started.tensors, host_.slab(slab_));
  }
  sent_ = true;
  return host_.Send(Snapshot{.epoch = epoch, .slab = slab_});
}

}  // namespace headstart::worker
