// Pruning and stages in a TrainingSpec.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "headstart/v1/training_spec.pb.h"

namespace headstart::scheduler {

// Whether a step of it leaves out what a mask leaves out.
bool HasMask(const v1::Initializer& initializer);

// What the rules beside the fields cannot say: that the epochs are whole
// levels or stages, and which fields go together. The spec is complete;
// `prefix` is its own path. InvalidArgument begins with the wrong field's.
absl::Status CheckPhases(const v1::TrainingSpec& spec,
                         absl::string_view prefix);

}  // namespace headstart::scheduler
