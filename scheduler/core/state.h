// Everything the scheduler knows: what its commands read and its events change.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "base/names.h"
#include "scheduler/core/comparison.h"
#include "scheduler/core/fleet.h"
#include "scheduler/core/owner.h"
#include "scheduler/core/requests.h"
#include "scheduler/core/run.h"
#include "scheduler/core/study.h"
#include "scheduler/core/training.h"
#include "scheduler/core/work_queue.h"

namespace headstart::scheduler {

// What is known of an owner beside the owner itself; stays when it is deleted.
struct OwnerRecord {
  int64_t version = 0;     // Event count at its last change.
  int64_t generation = 0;  // Event count at the last change of its references.
  bool deleted = false;
};

struct State {
  int64_t event_count = 0;
  // The next numbers to give.
  int64_t next_study = 1;
  int64_t next_training = 1;
  int64_t next_comparison = 1;
  int64_t next_token = 1;

  absl::btree_map<int64_t, std::unique_ptr<Study>> studies;
  absl::btree_map<int64_t, std::unique_ptr<Training>> trainings;
  absl::btree_map<int64_t, Comparison> comparisons;
  Fleet fleet;
  Requests requests;
  absl::btree_map<Owner, OwnerRecord> owners;

  // Kept by Apply so that nobody walks over all owners.
  absl::btree_set<Owner> unsettled;             // A step follows.
  WorkQueue work;                               // Something to train.
  absl::btree_map<int64_t, Owner> generations;  // OwnerRecord.generation.
  // Who starts from checkpoints of the owner that is the key.
  absl::btree_map<Owner, absl::btree_set<Owner>> users;

  // Not from events, and forgotten at a restart until workers say it again:
  // what attempts wait for (AttemptStatus.waiting_for), by worker.
  struct Waiting {
    int64_t attempt = 0;
    std::string what;

    bool operator==(const Waiting&) const = default;
  };
  using WaitingRuns = absl::btree_map<RunName, Waiting>;
  absl::btree_map<std::string, WaitingRuns> waiting;
  int64_t waiting_version = 0;  // Grows with every change of it.

  // Null when there is none of that number or name (any more).
  const Study* FindStudy(int64_t number) const;
  const Training* FindTraining(int64_t number) const;
  const Run* FindRun(const RunName& name) const;

  // The same by full name. InvalidArgument for a malformed one, NotFound.
  absl::StatusOr<const Study*> GetStudy(absl::string_view name) const;
  absl::StatusOr<const Training*> GetTraining(absl::string_view name) const;
  absl::StatusOr<const Comparison*> GetComparison(absl::string_view name) const;
  struct TrialOfStudy {
    const Study* study = nullptr;
    const Trial* trial = nullptr;
  };
  absl::StatusOr<TrialOfStudy> GetTrial(absl::string_view name) const;

  // Whether a live attempt is to be handed back after its epoch: its study is
  // PAUSED, or its worker drains or leaves.
  bool IsReleasing(const Run& run) const;
};

// Takes one event in; see Scheduler::Apply.
void ApplyEvent(State& state, const Event& event);

}  // namespace headstart::scheduler
