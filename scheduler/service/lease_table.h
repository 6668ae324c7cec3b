// What is known of attempts only while they are heard of: how much lease time
// they have left, and how far they are. And which workers have gone silent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "headstart/v1/trial.pb.h"
#include "headstart/v1/worker_service.pb.h"
#include "scheduler/core/scheduler.h"

namespace headstart::scheduler {

// Measures, on a monotonic clock that the caller reads, how long each live
// attempt may go on unheard of.
//
// A lease begins when an attempt is given out and again whenever its worker
// says that it holds it. Deadlines are no part of the scheduler's state: a
// restarted scheduler begins every lease anew, with its full duration. Time in
// which the scheduler itself heard nobody does not count either; see Postpone.
//
// One thread; the engine's.
class LeaseTable {
 public:
  explicit LeaseTable(absl::Duration lease_duration)
      : lease_duration_(lease_duration) {}

  // What a scheduler knows at its start: all live attempts, all workers.
  void Restart(const Scheduler& scheduler, absl::Duration now);

  // Moves every deadline by `stall`, in which nobody could be heard.
  void Postpone(absl::Duration stall);

  // Follows attempts that begin and end.
  void Observe(const Event& event, absl::Duration now);

  // A worker called: it is there, and so are the attempts it lists, as far as
  // their tokens are the ones given out.
  void Hear(const v1::SynchronizeRequest& request, absl::Duration now,
            absl::Time wall_now);

  // Attempts whose time is up, each named once.
  std::vector<LeaseExpired> TakeExpired(absl::Duration now);

  // Workers that have not called within a lease, each named once until it
  // calls again.
  std::vector<WorkerGone> TakeGone(absl::Duration now);

  // Wall time of the worker's last call since the scheduler started.
  std::optional<absl::Time> LastHeard(absl::string_view worker) const;

  // How far an attempt is, as its worker said last; null when it has not.
  const v1::Attempt::Progress* FindProgress(absl::string_view run,
                                            int64_t attempt) const;
  // Grows with every change of any progress.
  int64_t progress_count() const { return progress_count_; }

  absl::Duration lease_duration() const { return lease_duration_; }

 private:
  using AttemptKey = std::pair<std::string, int64_t>;
  struct AttemptLease {
    int64_t token = 0;
    std::string worker;
    absl::Duration deadline;
    std::optional<v1::Attempt::Progress> progress;
  };
  struct Worker {
    absl::Duration deadline;
    std::optional<absl::Time> last_heard;
    bool gone = false;
  };

  const absl::Duration lease_duration_;
  absl::btree_map<AttemptKey, AttemptLease> attempts_;
  absl::btree_map<std::string, Worker> workers_;
  int64_t progress_count_ = 0;
};

}  // namespace headstart::scheduler
