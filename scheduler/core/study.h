// One study: its trials, their values, and the search that decides them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_set.h"

#include "headstart/internal/v1/journal.pb.h"
#include "headstart/v1/study.pb.h"
#include "headstart/v1/trial.pb.h"
#include "scheduler/core/run.h"
#include "scheduler/search/rank.h"
#include "scheduler/search/search_method.h"
#include "scheduler/search/space.h"

namespace headstart::scheduler {

struct Trial {
  Run run;
  v1::Trial::State state = v1::Trial::WAITING;
  std::vector<v1::ParameterValue> values;
  std::vector<v1::TrialDecision> decisions;
  v1::Failure failure;  // Of the trial, once FAILED or INFEASIBLE.
  Timestamp create_time;
  Timestamp end_time;  // Once it is over.
  // Where it stands in the study; none before its first measured epoch, and
  // none for FAILED and INFEASIBLE trials, which can not win.
  std::optional<Standing> standing;

  int64_t number() const { return run.name.number; }
  bool over() const {
    return state != v1::Trial::WAITING && state != v1::Trial::TRAINING &&
           state != v1::Trial::PAUSED;
  }
};

// One study. Its const half says what should happen next, as events; its Apply
// half takes events in. See Scheduler for how the two meet.
//
// A trial is WAITING, TRAINING (an attempt is live, or it has just reached its
// rung and awaits the search's word), PAUSED at a rung, or over. Every set
// below is a function of the trials, kept so that no question needs a walk over
// all of them.
class Study {
 public:
  // `event.spec` was complete and checked when it was recorded.
  Study(const internal::v1::StudyCreated& event, const Timestamp& time);

  // --- What should happen next -----------------------------------------------

  // One step that follows from the state: what becomes of a trial that reached
  // its rung, a trial that can no longer be promoted, the end of the study.
  // Empty when nothing follows.
  std::vector<Event> Settle() const;
  // The first of `then` that a winner is there for and that is not created yet;
  // the caller resolves it. None when there is nothing to create.
  std::optional<int> NextThen() const;
  // Whether neither of both returns anything.
  bool IsSettled() const;

  // Whether a free slot would get something to train.
  bool HasWork() const;
  // What it would get: a trial that waits, a promotion, a new trial. The events
  // before its AttemptLeased, if any, and the run to lease. A new trial whose
  // values do not go together has a run of none: its events end it INFEASIBLE.
  struct Work {
    std::vector<Event> events;
    std::optional<RunName> run;
    int64_t attempt = 0;
    int64_t from_epoch = 0;
    int64_t until_epoch = 0;
  };
  Work NextWork() const;

  // The events that end the study now: live attempts handed back, then the
  // state. Trials that are not over become CANCELLED with it.
  std::vector<Event> End(v1::Study::State state, std::string message) const;

  // What becomes of a trial whose live attempt ends without reaching its rung:
  // a TrialStateChanged when that ends the trial, nothing when it waits.
  // `newly_recorded`: the same message records an epoch before it.
  std::vector<Event> AfterEnd(int64_t trial, v1::Attempt::State end,
                              v1::Failure failure, bool newly_recorded) const;

  // --- Facts -----------------------------------------------------------------

  void Apply(const internal::v1::StudyStateChanged& event,
             const Timestamp& time);
  void Apply(const internal::v1::TrialCreated& event, const Timestamp& time);
  void Apply(const internal::v1::TrialPromoted& event);
  void Apply(const internal::v1::TrialStateChanged& event,
             const Timestamp& time);
  void Apply(int64_t trial, const internal::v1::AttemptLeased& event,
             const Timestamp& time);
  void Apply(int64_t trial, const internal::v1::AttemptStarted& event,
             const Timestamp& time);
  void Apply(int64_t trial, const internal::v1::AttemptEnded& event,
             const Timestamp& time);
  void Apply(int64_t trial, const internal::v1::EpochRecorded& event,
             const Timestamp& time);
  void Apply(int64_t trial, const internal::v1::RetriesRenewed& event,
             const Timestamp& time);
  // A training or a comparison of `then` was created; an arm of the latter
  // before it.
  void AddTraining(int64_t training, bool is_arm);
  void AddComparison(int64_t comparison);

  // --- State -----------------------------------------------------------------

  int64_t number() const { return number_; }
  const v1::Study& spec() const { return spec_; }
  v1::Study::State state() const { return state_; }
  const std::string& message() const { return message_; }
  bool over() const {
    return state_ != v1::Study::RUNNING && state_ != v1::Study::PAUSED;
  }
  const Timestamp& create_time() const { return create_time_; }
  const Timestamp& end_time() const { return end_time_; }
  // The winner's number once SUCCEEDED, else 0.
  int64_t winner() const { return winner_; }
  int64_t recorded_epochs() const { return recorded_epochs_; }
  const std::vector<int64_t>& trainings() const { return trainings_; }
  const std::vector<int64_t>& comparisons() const { return comparisons_; }
  // What a worker must offer to run it.
  const std::vector<std::string>& needs() const { return needs_; }

  int64_t trial_count() const { return static_cast<int64_t>(trials_.size()); }
  const Trial& trial(int64_t number) const { return trials_[number - 1]; }
  bool HasTrial(int64_t number) const {
    return number >= 1 && number <= trial_count();
  }
  // How many are in a state, by the enum's number.
  int64_t CountIn(v1::Trial::State state) const { return counts_[state]; }

  const absl::btree_set<int64_t>& waiting() const { return waiting_; }
  const absl::btree_set<int64_t>& live() const { return live_; }
  const absl::btree_set<int64_t>& paused() const { return paused_; }
  // Best first; of trials that could win.
  const absl::btree_set<Standing>& standings() const { return standings_; }
  // The same of trials that are over. Whatever the others come to, the best T
  // of the study will be among the best T of these and those that are not over.
  const absl::btree_set<Standing>& final_standings() const {
    return final_standings_;
  }

  const SearchMethod& search() const { return *search_; }
  const Space& space() const { return space_; }
  // The objective at the trial's last epoch; none before the first.
  std::optional<double> ObjectiveAtEnd(const Trial& trial) const;

 private:
  Trial& Find(int64_t number);
  // The only place where a trial's state changes.
  void SetState(Trial& trial, v1::Trial::State state);
  // Brings standings up to date with the trial's state and epochs.
  void SetStanding(Trial& trial);
  bool IsOverLimit() const;
  // Nothing trains, waits, is paused or left to start.
  bool IsSearchOver() const;
  Event JudgeReached(const Trial& trial) const;
  std::vector<Event> EndOfSearch() const;

  const int64_t number_;
  const v1::Study spec_;
  const std::vector<std::string> needs_;
  const Space space_;
  const std::unique_ptr<SearchMethod> search_;
  const Timestamp create_time_;

  v1::Study::State state_ = v1::Study::RUNNING;
  std::string message_;
  Timestamp end_time_;
  int64_t winner_ = 0;
  int64_t recorded_epochs_ = 0;
  std::vector<int64_t> trainings_;  // Arms of comparisons too.
  std::vector<int64_t> comparisons_;
  int then_created_ = 0;

  std::vector<Trial> trials_;  // Trial n at n - 1.
  std::array<int64_t, v1::Trial::State_ARRAYSIZE> counts_ = {};
  absl::btree_set<int64_t> waiting_;
  absl::btree_set<int64_t> live_;
  absl::btree_set<int64_t> reached_;  // No live attempt, and at its rung.
  absl::btree_set<int64_t> paused_;
  absl::btree_set<Standing> standings_;
  absl::btree_set<Standing> final_standings_;
};

}  // namespace headstart::scheduler
