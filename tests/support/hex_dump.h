// HexDump: bytes as the format documents show them.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace headstart {

// Lines of an offset and up to 16 bytes, such as "00000000  48 53 50 41".
inline std::string HexDump(absl::string_view bytes) {
  std::string dump;
  for (size_t at = 0; at < bytes.size(); at += 16) {
    absl::StrAppendFormat(&dump, "%s%08x ", at == 0 ? "" : "\n", at);
    for (const char byte : bytes.substr(at, 16)) {
      absl::StrAppendFormat(&dump, " %02x", static_cast<unsigned char>(byte));
    }
  }
  return dump;
}

}  // namespace headstart
