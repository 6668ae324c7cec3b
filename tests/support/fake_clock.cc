#include "tests/support/fake_clock.h"

namespace headstart {

FakeClock::FakeClock(absl::Time now) : now_(now) {}

absl::Time FakeClock::Now() const {
  MutexLock lock(&mu_);
  return now_;
}

absl::Duration FakeClock::Monotonic() const { return monotonic_; }

bool FakeClock::WaitFor(absl::Duration duration, const StopEvent& stop) {
  const absl::Duration deadline = Monotonic() + duration;
  std::multimap<const StopEvent*, absl::Duration>::iterator waiter;
  {
    MutexLock lock(&mu_);
    waiter = waiters_.emplace(&stop, deadline);
  }
  stop.WaitOr([&] { return Monotonic() >= deadline; },
              absl::InfiniteDuration());
  MutexLock lock(&mu_);
  waiters_.erase(waiter);
  return stop.stopped();
}

// Wakes with the lock released, so that a StopEvent's lock is never taken under
// it. Tests keep a StopEvent for as long as its clock.
void FakeClock::Advance(absl::Duration duration) {
  std::multimap<const StopEvent*, absl::Duration> waiters;
  {
    MutexLock lock(&mu_);
    now_ += duration;
    monotonic_ = Monotonic() + duration;
    waiters = waiters_;
  }
  for (const auto& [stop, deadline] : waiters) stop->Wake();
}

void FakeClock::SetNow(absl::Time now) {
  MutexLock lock(&mu_);
  now_ = now;
}

void FakeClock::AwaitWaiters(int count) const {
  MutexLock lock(&mu_);
  mu_.Await([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    int waiting = 0;  // One whose time has come may not have left yet.
    for (const auto& [stop, deadline] : waiters_) {
      if (deadline > Monotonic()) ++waiting;
    }
    return waiting >= count;
  });
}

}  // namespace headstart
