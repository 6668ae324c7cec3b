// One comparison: arms that are trainings, and what they have in common.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "headstart/internal/v1/journal.pb.h"
#include "headstart/v1/comparison.pb.h"
#include "headstart/v1/training.pb.h"
#include "scheduler/core/run.h"

namespace headstart::scheduler {

struct State;

// Its state is that of its trainings, so it has none of its own, but for one
// that could not be started.
struct Comparison {
  Comparison(const internal::v1::ComparisonCreated& event,
             const Timestamp& time);

  int64_t number = 0;
  v1::Comparison spec;  // As recorded: an arm for every training.
  Timestamp create_time;
  // In the order of arms. Empty when it could not be started.
  std::vector<int64_t> trainings;
};

// The fields of a comparison that a person writes.
v1::Comparison WrittenPart(const v1::Comparison& comparison);

// A comparison as it is recorded, and its arms as trainings to create.
struct ResolvedComparison {
  // Arms one by one, each with its label and source_checkpoint.
  v1::Comparison spec;
  std::vector<v1::Training> trainings;  // As ResolveTraining gives them.
};

// A written part, resolved arm by arm. `prefix` is the comparison's path
// in what they wrote, empty or such as "then[0].comparison". `recorded`: it
// stands in a study's `then`, so its plug-ins were resolved when that was
// recorded. Errors: InvalidArgument, NotFound and FailedPrecondition as of
// ResolveTraining.
absl::StatusOr<ResolvedComparison> ResolveComparison(
    const State& state, const v1::Comparison& comparison,
    absl::string_view prefix, bool recorded = false);

// What can be said of a comparison in a study's `then` before there is a
// winner. `study` is complete but for `then`.
absl::Status CheckThenComparison(const State& state, const v1::Study& study,
                                 const v1::Comparison& comparison,
                                 absl::string_view prefix);

}  // namespace headstart::scheduler
