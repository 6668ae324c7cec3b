// FakeClock: time that passes when the test says so.
#pragma once

#include <atomic>
#include <map>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace headstart {

// Any thread may call.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(absl::Time now = absl::FromUnixSeconds(1'800'000'000));

  absl::Time Now() const override;
  absl::Duration Monotonic() const override;
  bool WaitFor(absl::Duration duration, const StopEvent& stop) override;

  // Lets time pass; returns when every WaitFor that is due has seen it, not
  // when its thread has gone on.
  void Advance(absl::Duration duration);

  // Sets the wall clock, as an administrator would. Monotonic goes on as it is.
  void SetNow(absl::Time now);

  // Waits (in real time) until `count` threads are inside WaitFor with time
  // still to wait, so that an Advance reaches them.
  void AwaitWaiters(int count) const;

 private:
  mutable Mutex mu_;
  absl::Time now_ ABSL_GUARDED_BY(mu_);
  // Atomic: the waiters' conditions read it under another lock.
  std::atomic<absl::Duration> monotonic_ = absl::ZeroDuration();
  std::multimap<const StopEvent*, absl::Duration> waiters_ ABSL_GUARDED_BY(mu_);
};

}  // namespace headstart
