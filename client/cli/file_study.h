// The study that `headstart run FILE` works on, found again by later runs.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/cli/session.h"
#include "client/client.h"
#include "headstart/v1/study.pb.h"

namespace headstart::client {

// The study of a file in the data folder `data`: the one that an earlier run
// created, or, without one or with --new, a new one. DIR/runs holds a file per
// content of a study file that says which study that is.
//   NotFound            it has been deleted.
//   FailedPrecondition  it is CANCELLED or FAILED.
// Both say how to start another. And everything that CreateStudy returns.
absl::StatusOr<v1::Study> FindOrCreateStudy(Session& session, Client& client,
                                            const v1::Study& wanted,
                                            const std::string& data);

// OK unless `study` is CANCELLED or FAILED.
absl::Status CheckNotLost(const Session& session, const v1::Study& study);

// What a person reads before `study` is followed: whether it begins, goes on,
// is paused or is over.
std::string BeginText(const Session& session, Client& client,
                      const v1::Study& study, const std::string& data);

// The command line of this run, to go on with: all its flags but --new.
std::string CommandToGoOn(const Flags& flags);

}  // namespace headstart::client
