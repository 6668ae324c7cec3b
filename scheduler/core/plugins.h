// What the workers' plug-ins offer, as specs name it.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "headstart/v1/training_spec.pb.h"
#include "scheduler/core/state.h"

namespace headstart::scheduler {

// Sets the option schema of each plug-in that the spec names: that of `source`,
// the recorded spec that it comes from, if it names the same plug-in; otherwise
// the one that workers announce who are not GONE. `source` may be null.
//   FailedPrecondition  no worker has it, and what there is instead; or two
//   have
//                       it with different schemas.
absl::Status ResolvePlugins(const State& state, const v1::TrainingSpec* source,
                            absl::string_view prefix, v1::TrainingSpec& spec);

// What the worker offers, for people: "mnist, model plug-in mlp 1", or "none".
std::string OffersText(const Worker& worker);

}  // namespace headstart::scheduler
