// Clock: the time, and a wait that a shutdown can end.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace headstart {

// Says once and for all that work should stop, and wakes who waits for it.
//
// Any thread may call anything.
class StopEvent {
 public:
  // Stops. Repeating it changes nothing.
  void Stop();

  bool stopped() const;

  // Waits until stopped.
  void Wait() const;

  // For clocks: waits until stopped, until `done` is true, or for `timeout` of
  // real time. `done` is tried at once and after every Wake.
  void WaitOr(absl::FunctionRef<bool()> done, absl::Duration timeout) const;
  void Wake() const;

 private:
  mutable Mutex mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

// The time. Passed to whoever needs it, so that tests set it
// (tests/support/fake_clock.h). Any thread may call.
class Clock {
 public:
  virtual ~Clock() = default;

  // Wall time: for what people and the journal read. It may jump.
  virtual absl::Time Now() const = 0;

  // Time since a fixed, unknown moment; never jumps, never goes back. For
  // leases, deadlines and spans.
  virtual absl::Duration Monotonic() const = 0;

  // Waits for `duration`, or until `stop`. True if it was stopped.
  virtual bool WaitFor(absl::Duration duration, const StopEvent& stop) = 0;

  // The machine's clock.
  static Clock& Real();
};

}  // namespace headstart
