#include "storage/pack/stop_process.h"

#include <unistd.h>

#include "base/log.h"

namespace headstart::storage {

void StopProcess(const absl::Status& reason) {
  HS_LOG(kError, "storage stops, the disk did not take a write reason=\"{}\"",
         reason);
  _exit(70);  // EX_SOFTWARE; no destructor may run.
}

}  // namespace headstart::storage
