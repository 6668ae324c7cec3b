// Finds the device that training is asked to run on.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "worker/cuda/device.h"

namespace headstart::worker {

// "cpu": null. "cuda:N": a device of the module beside this program, which is
// loaded for it; call before anything else of LibTorch, once.
//   InvalidArgument     neither.
//   FailedPrecondition  there is no module, one of its libraries is missing, or
//                       no such device; the message says what to do.
absl::StatusOr<std::unique_ptr<Device>> OpenDevice(const std::string& name);

}  // namespace headstart::worker
