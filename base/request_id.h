// The rule for request_ids, which make changes safe to repeat.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace headstart {

// Whether `id` can tell a request that changes something from all others.
//   InvalidArgument  it has not 1 to 64 characters; says what to send.
absl::Status CheckRequestId(absl::string_view id);

}  // namespace headstart
