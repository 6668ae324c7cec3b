// UTF-8, character by character.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace headstart {

struct Utf8Character {
  uint32_t code = 0;
  size_t byte_count = 1;
};

// The character that `text`, which is not empty, begins with. None where there
// is none: a byte that begins no character or is followed by too few, an
// overlong form, a surrogate, or what lies beyond U+10FFFF.
std::optional<Utf8Character> FirstUtf8Character(absl::string_view text);

}  // namespace headstart
