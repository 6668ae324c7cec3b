#include "base/clock.h"

#include <ctime>

#include "absl/time/clock.h"

namespace headstart {
namespace {

class RealClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }

  absl::Duration Monotonic() const override {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return absl::DurationFromTimespec(now);
  }

  bool WaitFor(absl::Duration duration, const StopEvent& stop) override {
    stop.WaitOr([] { return false; }, duration);
    return stop.stopped();
  }
};

}  // namespace

void StopEvent::Stop() {
  MutexLock lock(&mu_);
  stopped_ = true;
}

bool StopEvent::stopped() const {
  MutexLock lock(&mu_);
  return stopped_;
}

void StopEvent::Wait() const {
  WaitOr([] { return false; }, absl::InfiniteDuration());
}

void StopEvent::WaitOr(absl::FunctionRef<bool()> done,
                       absl::Duration timeout) const {
  MutexLock lock(&mu_);
  mu_.AwaitWithTimeout(
      [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stopped_ || done(); },
      timeout);
}

void StopEvent::Wake() const {
  MutexLock lock(&mu_);  // Releasing it tries the conditions of all waiters.
}

Clock& Clock::Real() {
  static Clock& clock = *new RealClock;
  return clock;
}

}  // namespace headstart
