// Workers as users see them, and what the scheduler tells an agent.
#include <iterator>

#include "absl/strings/str_cat.h"

#include "base/names.h"
#include "base/status_macros.h"
#include "scheduler/core/scheduler.h"
#include "scheduler/core/view.h"
#include "scheduler/search/spec_defaults.h"

namespace headstart::scheduler {
namespace {

v1::Worker ViewWorker(const Worker& worker) {
  v1::Worker view;
  view.set_name(worker.name);
  view.set_state(worker.state());
  view.mutable_slots()->Assign(worker.slots.begin(), worker.slots.end());
  for (const auto& [slot, run] : worker.busy) view.add_runs(run.ToString());
  view.mutable_datasets()->Assign(worker.datasets.begin(),
                                  worker.datasets.end());
  view.mutable_plugins()->Assign(worker.plugins.begin(), worker.plugins.end());
  view.mutable_refused_plugins()->Assign(worker.refused_plugins.begin(),
                                         worker.refused_plugins.end());
  return view;
}

// What of an attempt's news is done with; nothing to say leaves `done` false.
struct Done {
  bool done = false;
  v1::Acknowledgement acknowledgement;
};

Done AcknowledgementOf(const State& state, const std::string& worker,
                       const v1::AttemptStatus& status) {
  Done done;
  done.acknowledgement.set_run(status.run());
  done.acknowledgement.set_attempt(status.attempt());
  done.acknowledgement.set_through_epoch(-1);
  const absl::StatusOr<RunName> name = RunName::Parse(status.run());
  const Run* run = name.ok() ? state.FindRun(*name) : nullptr;
  const bool held =
      run != nullptr && run->IsHeldBy(worker, status.attempt(), status.token());
  if (!held) {
    done.done = true;
    done.acknowledgement.set_ended(true);
  }
  if (run == nullptr) return done;
  // An epoch is acknowledged when it is recorded as this attempt reported it.
  for (const v1::EpochReport& report : status.reports()) {
    const int64_t epoch = report.epoch();
    if (epoch < 0 || epoch > run->recorded_epoch() ||
        !CompareWithRecord(*run, status.attempt(), report).ok()) {
      break;
    }
    done.done = true;
    done.acknowledgement.set_through_epoch(epoch);
  }
  return done;
}

}  // namespace

absl::StatusOr<v1::Worker> Scheduler::GetWorker(absl::string_view name) const {
  HS_RETURN_IF_ERROR(WorkerName::Parse(name).status());
  const Worker* worker = state_->fleet.Find(name);
  if (worker == nullptr) {
    return absl::NotFoundError(absl::StrCat("There is no ", name, "."));
  }
  return ViewWorker(*worker);
}

absl::StatusOr<v1::ListWorkersResponse> Scheduler::ListWorkers(
    const v1::ListWorkersRequest& request) const {
  HS_ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size()));
  // A token is the last worker's name; the order is by name.
  if (!request.page_token().empty() &&
      !WorkerName::Parse(request.page_token()).ok()) {
    return UnknownPageToken(request.page_token());
  }
  const auto& workers = state_->fleet.workers();
  v1::ListWorkersResponse response;
  for (auto it = workers.upper_bound(request.page_token()); it != workers.end();
       ++it) {
    if (response.workers_size() == size) {
      response.set_next_page_token(std::prev(it)->first);
      break;
    }
    *response.add_workers() = ViewWorker(it->second);
  }
  return response;
}

v1::SynchronizeResponse Scheduler::AnswerWorker(
    const v1::SynchronizeRequest& request) const {
  v1::SynchronizeResponse response;
  for (const v1::AttemptStatus& status : request.attempts()) {
    Done done = AcknowledgementOf(*state_, request.worker(), status);
    if (done.done) {
      *response.add_acknowledgements() = std::move(done.acknowledgement);
    }
  }
  const Worker* worker = state_->fleet.Find(request.worker());
  if (worker == nullptr || worker->incarnation != request.incarnation()) {
    return response;
  }
  response.set_version(worker->version);
  for (const auto& [slot, name] : worker->busy) {
    const Run& run = *state_->FindRun(name);
    const v1::Attempt& attempt = run.attempts.back();
    v1::SlotAssignment& assignment = *response.add_assignments();
    assignment.set_slot(slot);
    assignment.set_release(state_->IsReleasing(run));
    v1::Assignment& work = *assignment.mutable_assignment();
    work.set_run(name.ToString());
    work.set_attempt(attempt.number());
    work.set_token(run.token);
    *work.mutable_training() = run.ParseTraining();
    // Of what an older version recorded: fields that came later.
    FillSpecDefaults(*work.mutable_training());
    work.set_seed(run.seed);
    work.set_from_epoch(attempt.from_epoch());
    work.set_until_epoch(attempt.until_epoch());
  }
  return response;
}

int64_t Scheduler::WorkerVersion(absl::string_view name) const {
  const Worker* worker = state_->fleet.Find(name);
  return worker == nullptr ? 0 : worker->version;
}

std::vector<std::string> Scheduler::WorkersChangedSince(int64_t version) const {
  return state_->fleet.ChangedSince(version);
}

std::vector<Lease> Scheduler::Leases() const {
  std::vector<Lease> leases;
  for (const auto& [name, worker] : state_->fleet.workers()) {
    for (const auto& [slot, run_name] : worker.busy) {
      const Run& run = *state_->FindRun(run_name);
      leases.push_back({.run = run_name.ToString(),
                        .attempt = run.attempts.back().number(),
                        .token = run.token,
                        .worker = name});
    }
  }
  return leases;
}

Counts Scheduler::GetCounts() const {
  Counts counts;
  counts.studies.resize(v1::Study::State_ARRAYSIZE);
  counts.trials.resize(v1::Trial::State_ARRAYSIZE);
  counts.trainings.resize(v1::Training::State_ARRAYSIZE);
  counts.runs.resize(v1::TrainingRun::State_ARRAYSIZE);
  counts.workers.resize(v1::Worker::State_ARRAYSIZE);
  for (const auto& [number, study] : state_->studies) {
    ++counts.studies[study->state()];
    for (int trial = 0; trial < v1::Trial::State_ARRAYSIZE; ++trial) {
      counts.trials[trial] +=
          study->CountIn(static_cast<v1::Trial::State>(trial));
    }
  }
  for (const auto& [number, training] : state_->trainings) {
    ++counts.trainings[training->state()];
    for (const TrainingRun& run : training->runs()) ++counts.runs[run.state];
  }
  for (const auto& [name, worker] : state_->fleet.workers()) {
    ++counts.workers[worker.state()];
  }
  return counts;
}

}  // namespace headstart::scheduler
