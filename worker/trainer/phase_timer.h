// Where the time of an epoch goes.
#pragma once

#include "absl/time/time.h"

#include "base/clock.h"

namespace headstart::worker {

// Adds the time of its life to a phase.
class PhaseTimer final {
 public:
  PhaseTimer(const Clock& clock, double& seconds)
      : clock_(clock), seconds_(seconds), begin_(clock.Monotonic()) {}
  ~PhaseTimer() { seconds_ += elapsed(); }
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;

  double elapsed() const {
    return absl::ToDoubleSeconds(clock_.Monotonic() - begin_);
  }

 private:
  const Clock& clock_;
  double& seconds_;
  const absl::Duration begin_;
};

}  // namespace headstart::worker
