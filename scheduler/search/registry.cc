#include "scheduler/search/registry.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "scheduler/search/asha.h"
#include "scheduler/search/grid_search.h"
#include "scheduler/search/random_search.h"

namespace headstart::scheduler {
namespace {

// A method's errors begin with a field's name; this makes it a path.
template <typename Method>
absl::StatusOr<std::unique_ptr<SearchMethod>> Below(
    absl::string_view field, absl::StatusOr<std::unique_ptr<Method>> method) {
  if (!method.ok()) {
    return absl::Status(method.status().code(),
                        absl::StrCat(field, ".", method.status().message()));
  }
  return *std::move(method);
}

}  // namespace

void FillSearchDefaults(v1::Search& search) {
  if (!search.has_asha()) return;
  v1::Asha& asha = *search.mutable_asha();
  if (asha.min_epochs() == 0) asha.set_min_epochs(1);
  if (asha.reduction() == 0) asha.set_reduction(4);
}

absl::StatusOr<std::unique_ptr<SearchMethod>> CreateSearchMethod(
    const v1::Search& search, const Space& space, int64_t epochs) {
  switch (search.method_case()) {
    case v1::Search::kRandom:
      return Below("random",
                   RandomSearch::Create(search.random().trial_count(), epochs));
    case v1::Search::kGrid: {
      // Its errors name a parameter, which is not below `grid`.
      absl::StatusOr<std::unique_ptr<GridSearch>> method =
          GridSearch::Create(space, epochs);
      if (!method.ok()) return method.status();
      return *std::move(method);
    }
    case v1::Search::kAsha:
      return Below("asha",
                   Asha::Create({.trial_count = search.asha().trial_count(),
                                 .min_epochs = search.asha().min_epochs(),
                                 .max_epochs = epochs,
                                 .reduction = search.asha().reduction()}));
    case v1::Search::METHOD_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      "method: none is set. Choose one of random, grid and asha, such as "
      "random: {trial_count: 20}.");
}

v1::Objective::Ranking DefaultRanking(const v1::Search& search) {
  return search.has_asha() ? v1::Objective::MAX_EPOCHS_FIRST
                           : v1::Objective::OBJECTIVE_ONLY;
}

}  // namespace headstart::scheduler
