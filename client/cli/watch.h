// Following a study, a training or a comparison until it is over, for several
// commands.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "client/cli/session.h"

namespace headstart::client {

// Shows progress until the study and its trainings are over.
//   FailedPrecondition  it is over and has not SUCCEEDED.
absl::Status WatchStudyToItsEnd(Session& session, const std::string& name);

// The same for a training.
absl::Status WatchTrainingToItsEnd(Session& session, const std::string& name);

// The same for a comparison; ends with its report in short.
absl::Status WatchComparisonToItsEnd(Session& session,
                                     const std::string& name);

}  // namespace headstart::client
