// How a Client behaves: every default at its field.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "base/clock.h"

namespace headstart::client {

// When a call that was answered Unavailable is made again.
struct RetryOptions {
  // Before repetition n (from 0) the wait is drawn evenly from 0 up to
  // wait_initial * growth^n, at most wait_max: "full jitter", so that clients
  // of a restarted server do not come back all at once.
  absl::Duration wait_initial = absl::Milliseconds(100);
  double growth = 2;
  absl::Duration wait_max = absl::Seconds(2);
  // No repetition begins later than this after the first call.
  absl::Duration total_max = absl::Seconds(15);
};

struct ClientOptions {
  // Required. The scheduler's user listener, as grpc::CreateChannel takes it.
  // Where storage is, the scheduler tells.
  std::string server;

  // How long one unary call may take. Above 0.
  absl::Duration call_timeout = absl::Seconds(30);

  // The same for ReplayStudy, which decides a whole study again.
  absl::Duration replay_timeout = absl::Minutes(10);

  RetryOptions retry;

  // Outlives the client.
  Clock* clock = &Clock::Real();
};

}  // namespace headstart::client
