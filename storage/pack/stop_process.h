// The end of a process that can no longer say what is on its disk.
#pragma once

#include "absl/status/status.h"

namespace headstart::storage {

// Logs `reason` and ends the process at once, as kill -9 would. For a failed
// fsync or metadata write: going on could acknowledge what the disk lacks, and
// a start from the disk is always right.
[[noreturn]] void StopProcess(const absl::Status& reason);

}  // namespace headstart::storage
