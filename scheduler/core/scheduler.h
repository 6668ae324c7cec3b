// Everything the scheduler decides: commands in, events out, state from events.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "headstart/internal/v1/journal.pb.h"
#include "headstart/v1/admin_service.pb.h"
#include "headstart/v1/checkpoint_service.pb.h"
#include "headstart/v1/comparison_service.pb.h"
#include "headstart/v1/training_service.pb.h"
#include "headstart/v1/tuning_service.pb.h"
#include "headstart/v1/worker_service.pb.h"
#include "scheduler/core/command.h"

namespace headstart::scheduler {

using Event = ::headstart::internal::v1::Event;

struct State;  // state.h: what the scheduler knows.

// What a command led to.
struct Outcome {
  // News from an agent that was not recorded, for the log. The rest of the
  // message was taken; the agent learns of it from its acknowledgements.
  struct Refusal {
    std::string run;
    int64_t attempt = 0;
    absl::Status status;
  };

  std::vector<Event> events;      // In order; empty when nothing changed.
  std::string name;               // The resource made or changed, if one was.
  std::vector<Refusal> refusals;  // Only after Synchronize.
};

// A live attempt, as whoever measures lease time needs it.
struct Lease {
  std::string run;
  int64_t attempt = 0;
  int64_t token = 0;
  std::string worker;
};

// What an owner wants kept in storage.
struct WantedReferences {
  std::string owner;       // studies/1 or trainings/2.
  int64_t generation = 0;  // As SetReferencesRequest.generation.
  bool deleted = false;    // Then references and horizons are empty.
  std::vector<v1::Reference> references;
  std::vector<v1::RunHorizon> horizons;
};

// How much of everything there is, for gauges.
struct Counts {
  // Indexed by the enum's number.
  std::vector<int64_t> studies;    // v1::Study::State
  std::vector<int64_t> trials;     // v1::Trial::State
  std::vector<int64_t> trainings;  // v1::Training::State
  std::vector<int64_t> runs;       // v1::TrainingRun::State
  std::vector<int64_t> workers;    // v1::Worker::State
};

// The scheduler as a pure state machine.
//
//   command, now --Decide--> events --(journal)--> Apply --> new state
//
// Decide is const and may refuse; Apply is the only way state changes and
// cannot fail. The state is a function of the events alone: no clock, no
// randomness, no I/O, so applying a journal from its first event gives the
// same state to the byte (DebugState).
//
// Leases: an attempt is live from AttemptLeased to AttemptEnded. Their
// deadlines are not state; the service measures them on its own clock, renews
// them for each attempt that a Synchronize lists, and reports with
// LeaseExpired.
//
// Who gets a free slot: of the owners (studies and trainings) with work that
// the slot's worker has the data set for, the one with the fewest live
// attempts; then trainings before studies; then the older. Within an owner
// runs that wait come first, then promotions, then new trials.
//
// One thread at a time. Versions and generations below are counts of applied
// events: they only grow, and mean the same after a restart.
class Scheduler {
 public:
  Scheduler();
  ~Scheduler();
  Scheduler(Scheduler&&) noexcept;
  Scheduler& operator=(Scheduler&&) noexcept;

  // The events of one step; state is untouched. Errors as at each command.
  absl::StatusOr<Outcome> Decide(const Command& command, absl::Time now) const;

  // Takes a fact in. Never refuses: what Decide returned is consistent.
  // Anything else (a damaged journal) stops the process with the reason.
  void Apply(const Event& event);

  // Decides, applies, and takes every step that follows (Advance) until none
  // does. All events, in order; on an error there are none and nothing
  // changed. What an engine calls for every command; the events must be durable
  // before anything of the new state is told to anybody. Also takes what a
  // Synchronize says for show only.
  absl::StatusOr<Outcome> Execute(const Command& command, absl::Time now);

  // How many events have been applied.
  int64_t event_count() const;

  // --- Users' questions. Errors: InvalidArgument for a malformed name, page
  // token or size; NotFound. -------------------------------------------------

  absl::StatusOr<v1::Study> GetStudy(absl::string_view name) const;
  absl::StatusOr<v1::ListStudiesResponse> ListStudies(
      const v1::ListStudiesRequest& request) const;
  // Study, best and training trials, as WatchStudy streams them.
  absl::StatusOr<v1::WatchStudyResponse> DescribeStudy(
      absl::string_view name) const;
  // What CreateStudy would do: the complete study and its plan.
  absl::StatusOr<v1::CreateStudyResponse> PlanStudy(
      const v1::Study& study) const;

  // `name` may be studies/{n}/winner.
  absl::StatusOr<v1::Trial> GetTrial(absl::string_view name) const;
  absl::StatusOr<v1::ListTrialsResponse> ListTrials(
      const v1::ListTrialsRequest& request) const;
  absl::StatusOr<v1::ExplainTrialResponse> ExplainTrial(
      absl::string_view name) const;

  absl::StatusOr<v1::Training> GetTraining(absl::string_view name) const;
  absl::StatusOr<v1::ListTrainingsResponse> ListTrainings(
      const v1::ListTrainingsRequest& request) const;
  // What CreateTraining would record: source and values resolved.
  absl::StatusOr<v1::Training> PlanTraining(const v1::Training& training) const;
  absl::StatusOr<v1::Comparison> GetComparison(absl::string_view name) const;
  absl::StatusOr<v1::ListComparisonsResponse> ListComparisons(
      const v1::ListComparisonsRequest& request) const;
  // What CreateComparison would record: every arm resolved.
  absl::StatusOr<v1::Comparison> PlanComparison(
      const v1::Comparison& comparison) const;

  // PREPARING trainings, whose source storage has not answered for.
  std::vector<std::string> PreparingTrainings() const;

  // last_seen_time is the service's to fill in.
  absl::StatusOr<v1::Worker> GetWorker(absl::string_view name) const;
  absl::StatusOr<v1::ListWorkersResponse> ListWorkers(
      const v1::ListWorkersRequest& request) const;

  Counts GetCounts() const;
  // Names of the studies that are not over, newest first, at most `max`.
  std::vector<std::string> LiveStudies(int64_t max) const;

  // --- Workers ---------------------------------------------------------------

  // The message down: desired assignments, their version, and what of
  // `request` is done with. lease_duration, cluster_id and storage_address are
  // the service's. Ask after the events of that Synchronize are durable.
  v1::SynchronizeResponse AnswerWorker(
      const v1::SynchronizeRequest& request) const;
  // Changes whenever what the worker should do changes; 0 when unknown.
  int64_t WorkerVersion(absl::string_view worker) const;
  // Workers whose version is above `version`.
  std::vector<std::string> WorkersChangedSince(int64_t version) const;
  // All live attempts. After a restart each gets its full duration again.
  std::vector<Lease> Leases() const;

  // --- Owners: studies/{n} and trainings/{n}
  // ----------------------------------

  // Event count at the last change of anything about this owner, or about the
  // trainings of a comparison; 0 when there is none of that name. For
  // watchers.
  int64_t OwnerVersion(absl::string_view owner) const;
  // Grows when what attempts wait for changes, which no event records.
  int64_t WaitingVersion() const;
  // Owners whose reference set changed since `generation`, deleted ones
  // included, each with its new generation, lowest first. 0 gives all.
  std::vector<std::pair<std::string, int64_t>> OwnersChangedSince(
      int64_t generation) const;
  // Computed when asked: one walk over the owner's trials. NotFound for a name
  // that never was.
  absl::StatusOr<WantedReferences> GetWantedReferences(
      absl::string_view owner) const;

  // The whole state as deterministic bytes, for comparing two schedulers.
  std::string DebugState() const;

 private:
  friend class StudyReplay;

  void TakeWaiting(const v1::SynchronizeRequest& request);

  std::unique_ptr<State> state_;
};

// Decides a study's search again from the journal and compares. Feed it every
// event from the first; it only looks at what the study depends on.
class StudyReplay {
 public:
  explicit StudyReplay(int64_t study);
  ~StudyReplay();

  void Next(const Event& event);
  v1::ReplayStudyResponse Finish() const;

 private:
  const int64_t study_;
  Scheduler scheduler_;
  v1::ReplayStudyResponse response_;
};

}  // namespace headstart::scheduler
