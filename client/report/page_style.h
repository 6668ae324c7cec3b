// The look of report pages.
#pragma once

#include "absl/strings/string_view.h"

namespace headstart::client {

// The style sheet of a page; figures bring their own (client/plot/style.h),
// with the same paper and ink.
absl::string_view PageStyleSheet();

}  // namespace headstart::client
