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
  {
    MutexLock lock(&mu_);
    waiters_.insert(&stop);
  }
  stop.WaitOr([&] { return Monotonic() >= deadline; },
              absl::InfiniteDuration());
  MutexLock lock(&mu_);
  waiters_.erase(waiters_.find(&stop));
  return stop.stopped();
}

// Wakes with the lock released, so that a StopEvent's lock is never taken under
// it. Tests keep a StopEvent for as long as its clock.
void FakeClock::Advance(absl::Duration duration) {
  std::multiset<const StopEvent*> waiters;
  {
    MutexLock lock(&mu_);
    now_ += duration;
    monotonic_ = Monotonic() + duration;
    waiters = waiters_;
  }
  for (const StopEvent* stop : waiters) stop->Wake();
}

void FakeClock::SetNow(absl::Time now) {
  MutexLock lock(&mu_);
  now_ = now;
}

void FakeClock::AwaitWaiters(int count) const {
  MutexLock lock(&mu_);
  mu_.Await([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return static_cast<int>(waiters_.size()) >= count;
  });
}

}  // namespace headstart
