// Random search: independent draws, each trained to the last epoch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "scheduler/search/ranked_set.h"
#include "scheduler/search/search_method.h"

namespace headstart::scheduler {

// The part that random and grid search share: a fixed number of trials, started
// in order, each trained to the last epoch. The results are ranked only so that
// a trial's record can say how it compares.
class FullLength {
 public:
  FullLength(int64_t trial_count, int64_t epochs, std::string rule_version);

  void Observe(const TrialEvent& event);
  std::optional<Decision> Next() const;
  Decision Reach(int64_t trial, double loss) const;

  const std::vector<int64_t>& rung_epochs() const { return rung_epochs_; }
  int64_t trial_count() const { return trial_count_; }

 private:
  const int64_t trial_count_;
  const std::vector<int64_t> rung_epochs_;  // One.
  const std::string rule_version_;
  int64_t started_ = 0;
  int64_t withdrawn_ = 0;  // Trials whose result will not come any more.
  RankedSet results_;
};

class RandomSearch final : public SearchMethod {
 public:
  // InvalidArgument, naming the field, for a count outside 1 to 1,000,000.
  static absl::StatusOr<std::unique_ptr<RandomSearch>> Create(
      int64_t trial_count, int64_t epochs);

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

 private:
  RandomSearch(int64_t trial_count, int64_t epochs)
      : trials_(trial_count, epochs, "random/1") {}

  FullLength trials_;
};

}  // namespace headstart::scheduler
