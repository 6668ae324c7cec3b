#include "scheduler/service/lease_table.h"

namespace headstart::scheduler {

void LeaseTable::Restart(const Scheduler& scheduler, absl::Duration now) {
  const absl::Duration deadline = now + lease_duration_;
  attempts_.clear();
  workers_.clear();
  for (const Lease& lease : scheduler.Leases()) {
    attempts_[{lease.run, lease.attempt}] = {
        .token = lease.token, .worker = lease.worker, .deadline = deadline};
  }
  for (const std::string& worker : scheduler.WorkersChangedSince(0)) {
    workers_[worker] = {.deadline = deadline};
  }
}

void LeaseTable::Postpone(absl::Duration stall) {
  for (auto& [key, lease] : attempts_) lease.deadline += stall;
  for (auto& [name, worker] : workers_) worker.deadline += stall;
}

void LeaseTable::Observe(const Event& event, absl::Duration now) {
  if (event.has_attempt_leased()) {
    const auto& leased = event.attempt_leased();
    attempts_[{leased.run(), leased.attempt()}] = {
        .token = leased.token(),
        .worker = leased.worker(),
        .deadline = now + lease_duration_};
  } else if (event.has_attempt_ended()) {
    const auto& ended = event.attempt_ended();
    attempts_.erase({ended.run(), ended.attempt()});
  }
}

void LeaseTable::Hear(const v1::SynchronizeRequest& request, absl::Duration now,
                      absl::Time wall_now) {
  const absl::Duration deadline = now + lease_duration_;
  workers_[request.worker()] = {.deadline = deadline, .last_heard = wall_now};
  for (const v1::AttemptStatus& status : request.attempts()) {
    const auto found = attempts_.find({status.run(), status.attempt()});
    if (found == attempts_.end()) continue;
    if (found->second.token != status.token()) continue;
    if (found->second.worker != request.worker()) continue;
    found->second.deadline = deadline;
    v1::Attempt::Progress progress;
    progress.set_epoch(status.current_epoch());
    progress.set_share(status.epoch_progress());
    progress.set_activity(status.activity());
    const auto& before = found->second.progress;
    const bool was_training = !before.has_value() || before->epoch() > 0;
    if (was_training && progress.epoch() <= 0 && progress.activity().empty()) {
      continue;  // Nothing new.
    }
    if (!before.has_value() || before->epoch() != progress.epoch() ||
        before->share() != progress.share() ||
        before->activity() != progress.activity()) {
      found->second.progress = progress;
      ++progress_count_;
    }
  }
}

std::vector<LeaseExpired> LeaseTable::TakeExpired(absl::Duration now) {
  std::vector<LeaseExpired> expired;
  for (auto it = attempts_.begin(); it != attempts_.end();) {
    if (it->second.deadline > now) {
      ++it;
      continue;
    }
    expired.push_back({.run = it->first.first, .attempt = it->first.second});
    it = attempts_.erase(it);
  }
  return expired;
}

std::vector<WorkerGone> LeaseTable::TakeGone(absl::Duration now) {
  std::vector<WorkerGone> gone;
  for (auto& [name, worker] : workers_) {
    if (worker.gone || worker.deadline > now) continue;
    worker.gone = true;
    gone.push_back({.worker = name});
  }
  return gone;
}

std::optional<absl::Time> LeaseTable::LastHeard(
    absl::string_view worker) const {
  const auto found = workers_.find(std::string(worker));
  return found == workers_.end() ? std::nullopt : found->second.last_heard;
}

const v1::Attempt::Progress* LeaseTable::FindProgress(absl::string_view run,
                                                      int64_t attempt) const {
  const auto found = attempts_.find({std::string(run), attempt});
  if (found == attempts_.end() || !found->second.progress.has_value()) {
    return nullptr;
  }
  return &*found->second.progress;
}

}  // namespace headstart::scheduler
