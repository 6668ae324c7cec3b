// The release this is.
#pragma once

namespace headstart {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace headstart
