// The texts of a message that name checkpoints.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace headstart {

// Calls `visit` for every text in `message`, at any depth, whose field has the
// rule `checkpoint`, with its path below `prefix`, such as
// training.initializer.mean.checkpoints[1]. It may change the text. The first
// error ends it.
absl::Status VisitCheckpoints(
    google::protobuf::Message& message, absl::string_view prefix,
    absl::FunctionRef<absl::Status(const std::string& path, std::string& name)>
        visit);

// The same texts, none twice, in the order in which they stand.
std::vector<std::string> CheckpointsIn(
    const google::protobuf::Message& message);

}  // namespace headstart
