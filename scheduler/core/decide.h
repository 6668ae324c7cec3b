// The answer to each command: one overload per kind. All are const over the
// state and return events that the caller stamps with version and time.
#pragma once

#include <vector>

#include "absl/status/statusor.h"

#include "scheduler/core/command.h"
#include "scheduler/core/scheduler.h"
#include "scheduler/core/state.h"

namespace headstart::scheduler {

// study_commands.cc
absl::StatusOr<Outcome> Decide(const State& state, const CreateStudy& command);
absl::StatusOr<Outcome> Decide(const State& state, const PauseStudy& command);
absl::StatusOr<Outcome> Decide(const State& state, const ResumeStudy& command);
absl::StatusOr<Outcome> Decide(const State& state, const CancelStudy& command);
absl::StatusOr<Outcome> Decide(const State& state, const DeleteStudy& command);
absl::StatusOr<Outcome> Decide(const State& state, const StopTrial& command);
absl::StatusOr<Outcome> Decide(const State& state, const RetryTrial& command);

// training_commands.cc
absl::StatusOr<Outcome> Decide(const State& state,
                               const CreateTraining& command);
absl::StatusOr<Outcome> Decide(const State& state,
                               const CancelTraining& command);
absl::StatusOr<Outcome> Decide(const State& state,
                               const DeleteTraining& command);
absl::StatusOr<Outcome> Decide(const State& state,
                               const SourceConfirmed& command);
absl::StatusOr<Outcome> Decide(const State& state,
                               const SourceMissing& command);

// comparison_commands.cc
absl::StatusOr<Outcome> Decide(const State& state,
                               const CreateComparison& command);
absl::StatusOr<Outcome> Decide(const State& state,
                               const CancelComparison& command);
absl::StatusOr<Outcome> Decide(const State& state,
                               const DeleteComparison& command);
// The events that create `resolved`: its trainings, then itself.
std::vector<Event> CreationOf(const State& state, ResolvedComparison resolved);

// worker_commands.cc
absl::StatusOr<Outcome> Decide(const State& state, const Synchronize& command);
absl::StatusOr<Outcome> Decide(const State& state, const LeaseExpired& command);
absl::StatusOr<Outcome> Decide(const State& state, const WorkerGone& command);
absl::StatusOr<Outcome> Decide(const State& state, const CordonWorker& command);
absl::StatusOr<Outcome> Decide(const State& state,
                               const UncordonWorker& command);
absl::StatusOr<Outcome> Decide(const State& state, const DrainWorker& command);

// advance.cc
absl::StatusOr<Outcome> Decide(const State& state, const Advance& command);

}  // namespace headstart::scheduler
