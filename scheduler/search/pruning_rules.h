// What pruning makes of a run's epochs.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "headstart/v1/training_spec.pb.h"

namespace headstart::scheduler {

// Epochs that the schedule goes through: a level's, or without pruning the
// run's.
int64_t ScheduleEpochs(const v1::TrainingSpec& spec);

// The level, from 1, whose last epoch `epoch` is.
std::optional<int64_t> LevelEndingWith(const v1::TrainingSpec& spec,
                                       int64_t epoch);

// What the rules beside the fields cannot say: that the epochs are whole
// levels, and which fields go together. The spec is complete; `prefix` is its
// own path. InvalidArgument begins with the wrong field's.
absl::Status CheckPruning(const v1::TrainingSpec& spec,
                          absl::string_view prefix);

}  // namespace headstart::scheduler
