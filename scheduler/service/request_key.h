// What makes a request safe to repeat.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "scheduler/core/command.h"

namespace headstart::scheduler {

// The key of `request`, whose request_id is `id` and which came in by `method`,
// such as headstart.v1.TuningService/CreateStudy.
//   InvalidArgument  the id has not 1 to 64 characters.
absl::StatusOr<RequestKey> MakeRequestKey(
    const google::protobuf::Message& request, absl::string_view id,
    absl::string_view method);

}  // namespace headstart::scheduler
