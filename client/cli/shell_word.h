// Commands that a person can copy.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace headstart::client {

// `text` as one word of a shell: as it is, or in quotes when the shell would
// read something else. "my study.yaml" becomes "'my study.yaml'".
std::string ShellWord(absl::string_view text);

}  // namespace headstart::client
