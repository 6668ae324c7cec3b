// What a person may have meant by a name that does not exist.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace headstart::client {

// "; did you mean epochs?" with up to three of `names` that are close to
// `wrong`, nearest first, or "; there are a, b, c" when none is close.
std::string DidYouMean(absl::string_view wrong,
                       const std::vector<std::string>& names);

}  // namespace headstart::client
