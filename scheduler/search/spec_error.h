// Errors about what a person wrote: which field, then what is wrong with it.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace headstart::scheduler {

// The path of `field` of the message at `prefix`, which is empty for the
// outermost.
inline std::string Below(absl::string_view prefix, absl::string_view field) {
  return prefix.empty() ? std::string(field) : absl::StrCat(prefix, ".", field);
}

// InvalidArgument "prefix.field: message".
inline absl::Status Wrong(absl::string_view prefix, absl::string_view field,
                          absl::string_view message) {
  return absl::InvalidArgumentError(
      absl::StrCat(Below(prefix, field), ": ", message));
}

}  // namespace headstart::scheduler
