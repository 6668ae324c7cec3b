// The result of a study, once it is over.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "client/cli/session.h"
#include "client/client.h"

namespace headstart::client {

// Prints the winner, its values, how good it and the trainings after it are,
// and where the resulting weights are: downloads them into `folder`, or says
// how to when that is empty.
//
// The weights are those of the best run of the study's trainings, by the
// study's objective after its last epoch, or the first seed's when that was not
// measured; without trainings, the winner's after its last epoch.
//   FailedPrecondition  the study, or one of its trainings, has not SUCCEEDED.
absl::Status ReportStudy(Session& session, Client& client,
                         const std::string& name, const std::string& folder);

}  // namespace headstart::client
