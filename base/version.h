// The release this is.
#pragma once

#define HEADSTART_VERSION "0.1.0"

namespace headstart {

inline constexpr char kVersion[] = HEADSTART_VERSION;

}  // namespace headstart
