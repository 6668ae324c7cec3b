#include "scheduler/search/grid_search.h"

#include "absl/memory/memory.h"

#include "base/status_macros.h"

namespace headstart::scheduler {

absl::StatusOr<std::unique_ptr<GridSearch>> GridSearch::Create(
    const Space& space, int64_t epochs) {
  HS_ASSIGN_OR_RETURN(const int64_t combinations, space.CountCombinations());
  return absl::WrapUnique(new GridSearch(combinations, epochs));
}

}  // namespace headstart::scheduler
