// How often a call to storage is repeated, and when it is given up.
#pragma once

#include <functional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/clock.h"
#include "base/random_stream.h"

namespace headstart::worker {

struct StorageRetry {
  Clock* const clock;
  const RandomStream jitter;
  // Told what is waited for, as AttemptStatus.waiting_for, before each repeat,
  // and "" when that is over. On the thread that called Run.
  const std::function<void(const std::string&)> on_waiting;

  // Calls until the answer is final or `cancel` is stopped (Cancelled).
  //
  // A store that is away, too slow or full, or that misses blobs, is asked
  // for ever: the weights wait in their slab and nothing is lost. Errors that a
  // connection breaking in the middle may cause are repeated a few times.
  // Whatever else storage says is the answer.
  absl::Status Run(const std::string& what, const StopEvent& cancel,
                   absl::FunctionRef<absl::Status()> call) const;
};

}  // namespace headstart::worker
