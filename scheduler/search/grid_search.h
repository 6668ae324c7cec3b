// Grid search: every combination of the lists, each trained to the last epoch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"

#include "scheduler/search/random_search.h"
#include "scheduler/search/search_method.h"
#include "scheduler/search/space.h"

namespace headstart::scheduler {

// Trial n takes combination n of the space: the parameters in declared order,
// the last one varying fastest.
class GridSearch final : public SearchMethod {
 public:
  // InvalidArgument when the space has a range, or more than 1,000,000
  // combinations.
  static absl::StatusOr<std::unique_ptr<GridSearch>> Create(const Space& space,
                                                            int64_t epochs);

  void Observe(const TrialEvent& event) override { trials_.Observe(event); }
  std::optional<Decision> Next() const override { return trials_.Next(); }
  Decision Reach(int64_t trial, double loss) const override {
    return trials_.Reach(trial, loss);
  }
  std::optional<Decision> Stop() const override { return std::nullopt; }
  bool IsPromotable(int64_t) const override { return false; }
  const std::vector<int64_t>& rung_epochs() const override {
    return trials_.rung_epochs();
  }
  int64_t trial_count() const override { return trials_.trial_count(); }
  Point Choose(const Space& space, int64_t, int64_t trial) const override {
    return space.Combination(trial - 1);
  }

 private:
  GridSearch(int64_t trial_count, int64_t epochs)
      : trials_(trial_count, epochs, "grid/1") {}

  FullLength trials_;
};

}  // namespace headstart::scheduler
