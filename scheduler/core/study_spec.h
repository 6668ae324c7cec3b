// A Study as a person wrote it, made complete and checked.
#pragma once

#include "absl/status/statusor.h"

#include "headstart/v1/study.pb.h"
#include "scheduler/core/state.h"

namespace headstart::scheduler {

// The study with every default filled in, without output-only fields; names of
// winners' checkpoints are resolved. InvalidArgument with the field's path, the
// value and what is allowed; NotFound and FailedPrecondition for checkpoints to
// start from.
absl::StatusOr<v1::Study> CompleteStudy(const State& state,
                                        const v1::Study& study);

// One retry, ten losses, no limit of failed trials.
v1::FailurePolicy DefaultFailurePolicy();

// What the study would do. `slot_count`: of workers that could train it.
v1::StudyPlan PlanOf(const v1::Study& study, int64_t slot_count);

}  // namespace headstart::scheduler
