// Work on many files by several threads.
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace headstart::worker {

// Calls `work` for 0 .. count - 1, each once, on `threads` threads beside this
// one, which meanwhile asks `cancelled` some ten times a second, as long as the
// work moves. Returns the error of the lowest number that failed, and Cancelled
// when asked to; work that has not begun is then left out.
absl::Status ForEach(int64_t count, int64_t threads,
                     absl::FunctionRef<bool()> cancelled,
                     absl::FunctionRef<absl::Status(int64_t)> work);

}  // namespace headstart::worker
