// What the workers' plug-ins offer, as specs name it.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "headstart/v1/training_spec.pb.h"
#include "scheduler/core/state.h"

namespace headstart::scheduler {

// Sets the option schema of each plug-in that the spec names: that of the first
// of `recorded` that names the same plug-in with one; otherwise what workers
// announce who are not GONE. There may be null among `recorded`.
//   FailedPrecondition  no worker has it, and what there is instead; or two
//                       have it with different schemas.
absl::Status ResolvePlugins(const State& state,
                            absl::Span<const v1::TrainingSpec* const> recorded,
                            absl::string_view prefix, v1::TrainingSpec& spec);

// What the worker offers, for people: "mnist, model plug-in mlp 1", or "none".
std::string OffersText(const Worker& worker);

}  // namespace headstart::scheduler
