// SIGTERM and SIGINT as an event that threads can wait for.
#pragma once

#include <thread>

#include "base/clock.h"

namespace headstart {

// Turns the first SIGTERM or SIGINT into event().Stop(), on a thread of its
// own; the handler only writes a byte to a pipe. A second signal of the same
// kind ends the process at once, for people who do not want to wait.
//
// One per process, made first thing in main. Child programs are not affected:
// they start with the default handling.
class ShutdownSignal {
 public:
  ShutdownSignal();
  ~ShutdownSignal();

  ShutdownSignal(const ShutdownSignal&) = delete;
  ShutdownSignal& operator=(const ShutdownSignal&) = delete;

  // Also for who wants to begin a shutdown without a signal.
  StopEvent& event() { return event_; }

  // Waits until event() is stopped.
  void Wait() const;

 private:
  StopEvent event_;
  int pipe_[2];
  std::thread thread_;
};

}  // namespace headstart
