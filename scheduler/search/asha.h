// Asynchronous successive halving: the best at each rung train on, at once.
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

struct AshaOptions {
  int64_t trial_count = 0;  // Trials to start in all. 1 to 1,000,000.
  int64_t min_epochs = 1;   // The first rung. 1 to max_epochs.
  int64_t max_epochs = 0;   // The last rung; a trial there is done.
  int64_t reduction = 4;    // One trial in this many is promoted. 2 to 100.
};

// Decides, for one study, which trial trains next, and up to which rung.
//
// Rungs lie at min_epochs, min_epochs * reduction, ... and max_epochs. A trial
// trains up to a rung and pauses there. For a free slot the rungs are scanned
// from the top: of the best floor(n / reduction) of the n results at a rung,
// the best one not yet promoted from there resumes from its checkpoint and
// trains up to the next rung. If no rung has one, a new trial starts. Nothing
// waits for a rung to fill, so slots stay busy, and a trial passed over now
// may be promoted later, when more results are in.
//
//   9 epochs |  t4                                       t4 is done
//   3 epochs | *t4*  t1   t2                             * promoted
//   1 epoch  | *t4* *t1* *t2*  t5  t6  t3  t7  t8  t9    best first
//
// A trial counts once per rung, by the value at the rung's epoch. Results are
// ordered by Rank, so ties never promote more than floor(n / reduction). A
// trial that ends FAILED or INFEASIBLE counts as worst at the rung it was
// heading for and is never promoted.
//
// A paused trial is stopped once it can no longer be promoted: with place i
// among the n results at its rung, where at most m more can arrive, when
// i > floor((n + m) / reduction). Below the first rung m counts the trials that
// are not started yet; for each rung, those on their way to it; and for each
// rung above the first, what the rung below can still promote: those it would
// promote now, and one more for each result it still expects, since a result
// adds at most one to the trials that are or were among the best.
//
// asha_stopping would be the other rule, where trials run on unless stopped.
class Asha final : public SearchMethod {
 public:
  // InvalidArgument, naming field and range, for an option outside its range.
  static absl::StatusOr<std::unique_ptr<Asha>> Create(
      const AshaOptions& options);

  void Observe(const TrialEvent& event) override;
  std::optional<Decision> Next() const override;
  Decision Reach(int64_t trial, double loss) const override;
  std::optional<Decision> Stop() const override;
  bool IsPromotable(int64_t trial) const override;
  const std::vector<int64_t>& rung_epochs() const override {
    return rung_epochs_;
  }
  int64_t trial_count() const override { return options_.trial_count; }

 private:
  struct Rung {
    RankedSet results;       // All that count here.
    RankedSet waiting;       // Those of them that are paused here.
    int64_t on_the_way = 0;  // Trials that train towards it.
  };
  struct TrialState {
    size_t rung = 0;  // It is at, or on its way to.
    bool paused = false;
    Rank rank;  // At `rung`, when it is there.
  };

  explicit Asha(const AshaOptions& options);

  size_t RungAt(int64_t epochs) const;
  // floor(n / reduction) of the results at a rung.
  int64_t Share(const Rung& rung) const;
  // How many would be promoted from the rung now, had they all a slot.
  int64_t PromotableNow(const Rung& rung) const;
  // At most so many more results can arrive at the rung.
  int64_t StillExpected(size_t rung) const;
  // How many of so many results train on, in words.
  std::string ShareText(int64_t results) const;
  // The record's figures for a trial at `place` of `rung`.
  Decision Describe(v1::TrialDecision::Kind kind, int64_t trial, size_t rung,
                    int64_t place, int64_t rung_size,
                    int64_t still_expected) const;

  const AshaOptions options_;
  const std::vector<int64_t> rung_epochs_;
  std::vector<Rung> rungs_;
  std::vector<TrialState> trials_;  // Trial n at n - 1.
};

}  // namespace headstart::scheduler
