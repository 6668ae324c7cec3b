// One training and its runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_set.h"

#include "headstart/internal/v1/journal.pb.h"
#include "headstart/v1/training.pb.h"
#include "scheduler/core/run.h"

namespace headstart::scheduler {

struct TrainingRun {
  Run run;
  v1::TrainingRun::State state = v1::TrainingRun::WAITING;
  v1::Failure failure;  // Once FAILED or INFEASIBLE.

  int64_t number() const { return run.name.number; }
  bool over() const {
    return state != v1::TrainingRun::WAITING &&
           state != v1::TrainingRun::TRAINING;
  }
};

// One training: equal runs from one source, but for their seeds. The halves are
// Study's: the const one says what should happen next, Apply takes facts in.
//
// A run is WAITING, TRAINING (an attempt is live), or over.
class Training {
 public:
  // `event.spec` has the state it begins in: PREPARING with a source, RUNNING
  // without, FAILED when a study's `then` cannot be started.
  Training(const internal::v1::TrainingCreated& event, const Timestamp& time);

  // --- What should happen next -----------------------------------------------

  // One step that follows from the state: the end of a run that trained to its
  // last epoch, the end of the training. Empty when nothing follows.
  std::vector<Event> Settle() const;
  bool IsSettled() const;

  bool HasWork() const;
  // The run that a free slot should train.
  const Run& NextWork() const;

  // The events that end the training now: live attempts handed back, then the
  // state. Runs that are not over become CANCELLED with it.
  std::vector<Event> End(v1::Training::State state, std::string message) const;

  // As Study::AfterEnd.
  std::vector<Event> AfterEnd(int64_t run, v1::Attempt::State end,
                              v1::Failure failure, bool newly_recorded) const;

  // --- Facts -----------------------------------------------------------------

  void Apply(const internal::v1::TrainingStateChanged& event,
             const Timestamp& time);
  void Apply(const internal::v1::TrainingRunStateChanged& event);
  void Apply(int64_t run, const internal::v1::AttemptLeased& event,
             const Timestamp& time);
  void Apply(int64_t run, const internal::v1::AttemptStarted& event,
             const Timestamp& time);
  void Apply(int64_t run, const internal::v1::AttemptEnded& event,
             const Timestamp& time);
  void Apply(int64_t run, const internal::v1::EpochRecorded& event,
             const Timestamp& time);

  // --- State -----------------------------------------------------------------

  int64_t number() const { return number_; }
  // With source_checkpoint and resolved_training.
  const v1::Training& spec() const { return spec_; }
  v1::Training::State state() const { return state_; }
  const std::string& message() const { return message_; }
  bool over() const {
    return state_ != v1::Training::PREPARING && state_ != v1::Training::RUNNING;
  }
  const Timestamp& create_time() const { return create_time_; }
  const Timestamp& end_time() const { return end_time_; }
  // What a worker must offer to run it.
  const std::vector<std::string>& needs() const { return needs_; }

  const std::vector<TrainingRun>& runs() const { return runs_; }
  const TrainingRun& run(int64_t number) const { return runs_[number - 1]; }
  bool HasRun(int64_t number) const {
    return number >= 1 && number <= static_cast<int64_t>(runs_.size());
  }
  int64_t CountIn(v1::TrainingRun::State state) const;
  const absl::btree_set<int64_t>& live() const { return live_; }

  // The epoch with the highest validation accuracy, or with the lowest training
  // loss where there is no validation split; the earlier of equals. None before
  // the first measured epoch.
  static std::optional<int64_t> BestEpoch(const Run& run);

 private:
  TrainingRun& Find(int64_t number);
  // The only place where a run's state changes.
  void SetState(TrainingRun& run, v1::TrainingRun::State state);

  const int64_t number_;
  const v1::Training spec_;
  const std::vector<std::string> needs_;
  const v1::FailurePolicy policy_;
  const Timestamp create_time_;

  v1::Training::State state_ = v1::Training::PREPARING;
  std::string message_;
  Timestamp end_time_;
  std::vector<TrainingRun> runs_;  // Run n at n - 1.
  absl::btree_set<int64_t> waiting_;
  absl::btree_set<int64_t> live_;
  absl::btree_set<int64_t> reached_;  // No live attempt, and at the end.
};

}  // namespace headstart::scheduler
