// How headstart-trainer opens a CUDA device: libheadstart-trainer-cuda.so,
// which is loaded when a device is asked for, exports one function.
#pragma once

#include <string>

#include "worker/cuda/device.h"

namespace headstart::worker {

inline constexpr char kDeviceModule[] = "libheadstart-trainer-cuda.so";
inline constexpr char kOpenDevice[] = "HeadstartOpenDevice";

// A new device, the caller's; null, and what is wrong, where there is none.
using OpenDeviceFunction = Device*(int index, std::string* error);

}  // namespace headstart::worker
