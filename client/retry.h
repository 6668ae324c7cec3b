// Calls again what could not be answered just now.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/clock.h"
#include "base/random_stream.h"
#include "client/options.h"

namespace headstart::client {

// Makes `call` until it returns anything but Unavailable, and returns that;
// waits between calls as `options` says, on `clock`, with jitter from
// `random`. When no time is left, returns the last Unavailable.
//
// Repeating is safe because every request of ours either only reads or carries
// a request_id; the caller sends the same request each time.
//   Cancelled  `stop` came while it waited.
absl::Status RetryWhileUnavailable(const RetryOptions& options, Clock& clock,
                                   const StopEvent& stop, RandomStream random,
                                   absl::FunctionRef<absl::Status()> call);

}  // namespace headstart::client
