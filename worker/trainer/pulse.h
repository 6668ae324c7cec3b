// Pulse: what long work between two messages asks the host.
#pragma once

#include "absl/time/time.h"

#include "base/clock.h"
#include "worker/trainer/host.h"

namespace headstart::worker {

// At least so long between two messages on how far work is.
inline constexpr absl::Duration kProgressInterval = absl::Seconds(1);

// Tells the host now and then that there is life, and asks it whether to stop
// at once: first `after` that time, then every 10 seconds. One thread; both
// must outlive it.
class Pulse final {
 public:
  Pulse(Clock& clock, Host& host, absl::Duration after = kInterval)
      : clock_(clock), host_(host), next_(clock.Monotonic() + after) {}

  bool operator()() {
    if (const auto now = clock_.Monotonic(); now >= next_) {
      next_ = now + kInterval;
      // That nobody listens shows with the next message that matters.
      host_.Send(Heartbeat{}).IgnoreError();
    }
    return host_.stop() == StopMode::kNow;
  }

 private:
  static constexpr absl::Duration kInterval = absl::Seconds(10);

  Clock& clock_;
  Host& host_;
  absl::Duration next_;
};

}  // namespace headstart::worker
