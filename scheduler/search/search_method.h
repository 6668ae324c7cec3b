// The one way to decide what a study trains next; every method is one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "headstart/v1/trial.pb.h"
#include "scheduler/search/space.h"

namespace headstart::scheduler {

// What happened to a trial, as far as a search needs to know.
struct TrialEvent {
  enum class Kind {
    kStarted,    // Created; heads for the rung at `epochs`.
    kReached,    // Is at the rung it headed for, with `loss`.
    kPromoted,   // Heads for the rung at `epochs`.
    kFailed,     // FAILED or INFEASIBLE on its way to a rung.
    kWithdrawn,  // STOPPED or CANCELLED, paused or on its way.
    kRetried,    // Was FAILED; heads for the same rung again.
  };
  Kind kind;
  int64_t trial = 0;
  int64_t epochs = 0;  // kStarted, kPromoted.
  double loss = 0;     // kReached. Lower is better; may be NaN or infinite.
};

// What the search wants of one trial, and why.
struct Decision {
  int64_t trial = 0;
  // Without decide_time, which whoever records it adds.
  v1::TrialDecision record;
};

// Decides, for one study, which trial trains next, and up to which epoch.
//
// Observe takes facts in; everything else is a question about what they
// amount to. A decision takes effect only when it comes back as a fact, so
// asking twice gives the same answer. The state depends on the facts alone, in
// order: no clock, no randomness, no I/O.
//
// A loss is always better when lower: the study turns an accuracy into a loss
// once, so no method knows of a direction.
//
// One thread at a time; the owning Study sees to that.
class SearchMethod {
 public:
  virtual ~SearchMethod() = default;

  // Every trial's kStarted comes first; trials are numbered 1, 2, ...
  virtual void Observe(const TrialEvent& event) = 0;

  // What a free slot should train: a promotion (PROMOTED), else a new trial
  // (STARTED). None while only results still to come can tell, and at the end.
  virtual std::optional<Decision> Next() const = 0;

  // What becomes of a trial on its way that has now reached its rung with
  // `loss`, which is finite: PAUSED, or COMPLETED at the last rung.
  virtual Decision Reach(int64_t trial, double loss) const = 0;

  // A paused trial that can no longer be promoted, if there is one: STOPPED.
  virtual std::optional<Decision> Stop() const = 0;

  // Whether `trial` is paused and may still be promoted. Its checkpoint is
  // kept as PROMOTABLE for just as long.
  virtual bool IsPromotable(int64_t trial) const = 0;

  // Ascending; the last is the spec's epochs.
  virtual const std::vector<int64_t>& rung_epochs() const = 0;

  // Trials to start in all.
  virtual int64_t trial_count() const = 0;

  // The values of trial `trial` and the spec they give.
  virtual Point Choose(const Space& space, int64_t seed, int64_t trial) const {
    return space.Draw(seed, trial);
  }
};

}  // namespace headstart::scheduler
