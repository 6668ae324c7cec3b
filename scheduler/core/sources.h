// Which checkpoints studies and trainings start from.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "base/names.h"
#include "headstart/v1/study.pb.h"
#include "headstart/v1/training.pb.h"
#include "headstart/v1/training_spec.pb.h"
#include "scheduler/core/state.h"

namespace headstart::scheduler {

// A checkpoint by its full name, or by that of a winner's, which is replaced by
// the trial's. The run is known and has recorded that epoch; whether storage
// still keeps it, only storage can say, and of imports storage alone knows.
//   InvalidArgument     not a checkpoint's name.
//   NotFound            no such run or epoch; says which epochs there are.
//   FailedPrecondition  the study has no winner yet.
absl::StatusOr<CheckpointName> ResolveCheckpoint(const State& state,
                                                 absl::string_view name);

// Replaces every winner's checkpoint that `initializer`, which stands at
// `path`, names by the trial's. Errors as above and of CheckInitializer, with
// the field's path in front.
absl::Status ResolveInitializer(const State& state, absl::string_view path,
                                v1::Initializer& initializer);

// Replaces every winner's checkpoint that the study's initializers name by the
// trial's: its own, choices for it, and those in `then`. (`from` of an entry of
// `then` may name a trial that the study has yet to create.) Errors as above
// and of CheckInitializer, with the field's path in front.
absl::Status ResolveSources(const State& state, v1::Study& study);

// The checkpoints that initializers of a study, with its sources resolved, or
// of a training name; none twice.
std::vector<CheckpointName> SourcesOf(const v1::Study& study);
std::vector<CheckpointName> SourcesOf(const v1::Training& training);

// Gives `spec` every field that `written` has. Stages and pruning replace each
// other; layer-wise stages have a count of their own.
void ReplaceFields(const v1::TrainingSpec& written, v1::TrainingSpec& spec);

// The spec of a training's runs: `source` with the fields that `training` sets
// replaced, or `training`'s own spec when there is no source. Complete and
// checked but for the initializer, which the caller sets when there is a
// source. Plug-ins are those of `source`, of `recorded` (which may be null too)
// or of the workers.
absl::StatusOr<v1::TrainingSpec> InheritSpec(
    const State& state, const v1::TrainingSpec* source,
    const v1::Training& training, absl::string_view prefix,
    const v1::TrainingSpec* recorded = nullptr);

// What a person wrote as a training, as it is recorded: source and spec
// resolved, PREPARING if it has a source and RUNNING if it has none. `prefix`
// is the training's path in what they wrote, empty or such as "then[0]".
absl::StatusOr<v1::Training> ResolveTraining(
    const State& state, const v1::Training& training, absl::string_view prefix,
    const v1::TrainingSpec* recorded = nullptr);

// The fields of a training that need no source to be judged.
absl::Status CheckTraining(const v1::Training& training,
                           absl::string_view prefix);

}  // namespace headstart::scheduler
