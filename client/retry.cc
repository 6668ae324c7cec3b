#include "client/retry.h"

#include <algorithm>

#include "absl/time/time.h"

namespace headstart::client {

absl::Status RetryWhileUnavailable(const RetryOptions& options, Clock& clock,
                                   const StopEvent& stop, RandomStream random,
                                   absl::FunctionRef<absl::Status()> call) {
  const absl::Duration start = clock.Monotonic();
  absl::Duration ceiling = options.wait_initial;
  while (true) {
    const absl::Status status = call();
    if (!absl::IsUnavailable(status)) return status;

    const absl::Duration wait =
        random.Uniform() * std::min(ceiling, options.wait_max);
    if (clock.Monotonic() - start + wait > options.total_max) return status;
    if (clock.WaitFor(wait, stop)) {
      return absl::CancelledError("stopped while waiting for the server");
    }
    ceiling = std::min(ceiling * options.growth, options.wait_max);
  }
}

}  // namespace headstart::client
