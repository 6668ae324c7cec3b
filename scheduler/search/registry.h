// From a study's Search to the object that decides it.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

#include "headstart/v1/study.pb.h"
#include "scheduler/search/search_method.h"
#include "scheduler/search/space.h"

namespace headstart::scheduler {

// Sets every default of the method in `search`.
void FillSearchDefaults(v1::Search& search);

// The method that `search` names, for trials of at most `epochs` epochs. Its
// defaults are filled. InvalidArgument with the field's path below `search`,
// such as "asha.min_epochs: ...".
absl::StatusOr<std::unique_ptr<SearchMethod>> CreateSearchMethod(
    const v1::Search& search, const Space& space, int64_t epochs);

// How a study ranks its trials when it does not say.
v1::Objective::Ranking DefaultRanking(const v1::Search& search);

}  // namespace headstart::scheduler
