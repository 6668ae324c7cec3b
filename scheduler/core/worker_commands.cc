// What agents and the lease clock say, and what operators ask of workers.
#include <optional>
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/names.h"
#include "base/status_macros.h"
#include "scheduler/core/decide.h"
#include "scheduler/core/effective.h"
#include "scheduler/search/plugin_spec.h"

namespace headstart::scheduler {
namespace {

constexpr int64_t kProtocolVersion = 1;

// Whatever bytes an agent sends are kept, but not as many as it likes.
absl::Status CheckPluginsOf(const v1::SynchronizeRequest& request) {
  constexpr int kPluginsMax = 100;
  constexpr size_t kFileBytesMax = 255;
  constexpr size_t kMessageBytesMax = 2'000;
  if (request.plugins_size() > kPluginsMax ||
      request.refused_plugins_size() > kPluginsMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "plugins: there may be ", kPluginsMax,
        " and as many that are refused, "
        "got ",
        request.plugins_size(), " and ", request.refused_plugins_size(), "."));
  }
  absl::btree_set<std::string> seen;
  for (const v1::PluginDescription& plugin : request.plugins()) {
    const std::string text =
        PluginText(plugin.kind(), plugin.name(), plugin.version());
    if (!IsPluginName(plugin.name()) || !IsPluginName(plugin.version()) ||
        (plugin.kind() != v1::PluginDescription::MODEL &&
         plugin.kind() != v1::PluginDescription::DATASET) ||
        plugin.file().size() > kFileBytesMax ||
        plugin.options_schema_json().size() > kOptionSchemaBytesMax) {
      return absl::InvalidArgumentError(absl::StrCat(
          "plugins: ", text.substr(0, 200),
          ": needs a kind, a name and a version of 1 to 64 letters, digits, "
          "'-', '_' and '.', an option schema of at most ",
          kOptionSchemaBytesMax, " bytes, and a file's name of at most ",
          kFileBytesMax, "."));
    }
    if (!seen.insert(text).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("plugins: ", text, " stands twice."));
    }
  }
  for (const v1::RefusedPlugin& refused : request.refused_plugins()) {
    if (refused.file().size() > kFileBytesMax ||
        refused.message().size() > kMessageBytesMax) {
      return absl::InvalidArgumentError(absl::StrCat(
          "refused_plugins: a file's name may have ", kFileBytesMax,
          " bytes and a message ", kMessageBytesMax, "."));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMessage(const v1::SynchronizeRequest& request) {
  if (request.protocol_version() != kProtocolVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "protocol_version: this scheduler speaks ", kProtocolVersion,
        " and the agent ", request.protocol_version(),
        ". Use programs of one release."));
  }
  if (const auto name = WorkerName::Parse(request.worker()); !name.ok()) {
    return Annotate(name.status(), "worker");
  }
  if (request.incarnation() < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "incarnation: must be 1 or more, got ", request.incarnation(), "."));
  }
  absl::btree_set<std::string> slots;
  for (const v1::Slot& slot : request.slots()) {
    if (slot.name().empty() || !slots.insert(slot.name()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("slots: each needs a name of its own, got \"",
                       slot.name(), "\" twice or empty."));
    }
  }
  return CheckPluginsOf(request);
}

template <typename Message>
bool SameMessages(const google::protobuf::RepeatedPtrField<Message>& told,
                  const std::vector<Message>& known) {
  return absl::c_equal(told, known, [](const Message& a, const Message& b) {
    return a.SerializeAsString() == b.SerializeAsString();
  });
}

bool DescribesWorker(const v1::SynchronizeRequest& request,
                     const Worker& worker) {
  if (worker.incarnation != request.incarnation() ||
      request.slots_size() != static_cast<int>(worker.slots.size()) ||
      request.datasets_size() != static_cast<int>(worker.datasets.size())) {
    return false;
  }
  for (int i = 0; i < request.datasets_size(); ++i) {
    if (request.datasets(i) != worker.datasets[i]) return false;
  }
  return SameMessages(request.slots(), worker.slots) &&
         SameMessages(request.plugins(), worker.plugins) &&
         SameMessages(request.refused_plugins(), worker.refused_plugins);
}

// The worker's record as it is, to be changed by the caller.
internal::v1::WorkerStateChanged& AddStateChange(const Worker& worker,
                                                 std::vector<Event>& events) {
  internal::v1::WorkerStateChanged& changed =
      *events.emplace_back().mutable_worker_state_changed();
  changed.set_worker(worker.name);
  changed.set_cordoned(worker.cordoned);
  changed.set_draining(worker.draining);
  changed.set_gone(worker.gone);
  changed.set_leaving(worker.leaving);
  return changed;
}

// The end of the live attempt of `run`, and what becomes of the run.
void EndAttempt(const State& state, const Run& run, v1::Attempt::State end,
                v1::Failure failure, bool newly_recorded,
                std::vector<Event>& events) {
  const v1::Attempt& attempt = run.attempts.back();
  if (end == v1::Attempt::LOST) {
    failure = MakeFailure(v1::Failure::LOST,
                          absl::StrCat("Attempt ", attempt.number(), " on ",
                                       attempt.worker(), " lost its lease."));
  }
  internal::v1::AttemptEnded& ended =
      *events.emplace_back().mutable_attempt_ended();
  ended.set_run(run.name.ToString());
  ended.set_attempt(attempt.number());
  ended.set_state(end);
  if (failure.reason() != v1::Failure::REASON_UNSPECIFIED) {
    *ended.mutable_failure() = failure;
  }
  if (end == v1::Attempt::SUCCEEDED) return;  // The run's owner goes on.
  std::vector<Event> after =
      run.name.kind == RunKind::kTrial
          ? state.FindStudy(run.name.parent)
                ->AfterEnd(run.name.number, end, failure, newly_recorded)
          : state.FindTraining(run.name.parent)
                ->AfterEnd(run.name.number, end, failure, newly_recorded);
  for (Event& event : after) events.push_back(std::move(event));
}

// What an epoch of this run must have measured, in words; empty when it has.
std::string MissingMeasurement(const State& state, const Run& run,
                               const v1::EpochReport& report) {
  if (run.name.kind != RunKind::kTrial || report.epoch() == 0) return "";
  const v1::Objective& objective =
      state.FindStudy(run.name.parent)->spec().objective();
  if (HasObjective(objective, report.measurement())) return "";
  return absl::StrCat("epoch ", report.epoch(), " was reported without ",
                      v1::Objective::Metric_Name(objective.metric()),
                      ", the study's objective");
}

// Takes what an agent says about one live attempt of its own.
void TakeStatus(const State& state, const Run& run,
                const v1::AttemptStatus& status, Outcome& outcome) {
  const v1::Attempt& attempt = run.attempts.back();
  bool newly_recorded = false;
  // Ends the attempt because the agent or trainer contradicts the record.
  const auto fail = [&](const absl::Status& why) {
    outcome.refusals.push_back({status.run(), status.attempt(), why});
    EndAttempt(state, run, v1::Attempt::FAILED,
               MakeFailure(v1::Failure::INTERNAL, std::string(why.message())),
               newly_recorded, outcome.events);
  };

  const bool shows_effective = status.has_effective() && !run.effective_known;
  if (shows_effective || (status.state() == v1::Attempt::RUNNING &&
                          attempt.state() == v1::Attempt::LEASED)) {
    internal::v1::AttemptStarted& started =
        *outcome.events.emplace_back().mutable_attempt_started();
    started.set_run(status.run());
    started.set_attempt(status.attempt());
    if (status.has_effective()) {
      *started.mutable_effective() = status.effective();
    }
  }
  if (shows_effective) {
    const absl::Status effective =
        CheckEffective(run.ParseTraining(), status.effective());
    if (!effective.ok()) {
      HS_REACHED("effective_values_differ");
      return fail(Annotate(effective, run.name.ToString()));
    }
  }

  int64_t recorded = run.recorded_epoch();
  bool stopped = false;  // By the spec's early_stop.
  for (const v1::EpochReport& report : status.reports()) {
    absl::Status refused;
    if (stopped && report.epoch() > recorded) {
      return fail(absl::FailedPreconditionError(
          absl::StrCat(status.run(), ": epoch ", report.epoch(),
                       " was reported after epoch ", recorded,
                       " had reached early_stop.validation_accuracy.")));
    }
    switch (JudgeReport(run, recorded, report, refused)) {
      case ReportVerdict::kRepeat:
        HS_REACHED("report_repeated");
        continue;
      case ReportVerdict::kRefuse:
        HS_REACHED("report_refused");
        return fail(refused);
      case ReportVerdict::kRecord:
        break;
    }
    if (const std::string missing = MissingMeasurement(state, run, report);
        !missing.empty()) {
      return fail(absl::InvalidArgumentError(
          absl::StrCat(status.run(), ": ", missing, ".")));
    }
    internal::v1::EpochRecorded& epoch =
        *outcome.events.emplace_back().mutable_epoch_recorded();
    epoch.set_run(status.run());
    epoch.set_attempt(status.attempt());
    *epoch.mutable_report() = report;
    newly_recorded = newly_recorded || report.epoch() > recorded;
    recorded = report.epoch();
    stopped = stopped || run.StopsAfter(report.epoch(), report.measurement());
  }

  if (recorded == attempt.until_epoch() || stopped) {
    return EndAttempt(state, run, v1::Attempt::SUCCEEDED, {}, newly_recorded,
                      outcome.events);
  }
  switch (status.state()) {
    case v1::Attempt::RELEASED:
      HS_REACHED("attempt_released");
      return EndAttempt(state, run, v1::Attempt::RELEASED, {}, newly_recorded,
                        outcome.events);
    case v1::Attempt::FAILED: {
      v1::Failure failure = status.failure();
      if (failure.reason() == v1::Failure::REASON_UNSPECIFIED) {
        failure.set_reason(v1::Failure::EXCEPTION);
      }
      return EndAttempt(state, run, v1::Attempt::FAILED, std::move(failure),
                        newly_recorded, outcome.events);
    }
    case v1::Attempt::SUCCEEDED:
      return fail(absl::FailedPreconditionError(
          absl::StrCat(status.run(), ": attempt ", status.attempt(),
                       " ended SUCCEEDED without a report of epoch ",
                       recorded + 1, " to ", attempt.until_epoch(), ".")));
    default:
      break;
  }
}

// News of an attempt that is no longer live: nothing to record, but epochs that
// nobody has, or that are recorded otherwise, are worth a line in the log.
void RefuseStale(const Run* run, const v1::AttemptStatus& status,
                 Outcome& outcome) {
  const int64_t recorded = run == nullptr ? -1 : run->recorded_epoch();
  for (const v1::EpochReport& report : status.reports()) {
    const int64_t epoch = report.epoch();
    absl::Status refused;
    if (epoch > recorded) {
      HS_REACHED("report_of_a_lost_attempt");
      refused = absl::AbortedError(
          absl::StrCat(status.run(), ": attempt ", status.attempt(),
                       " is no longer the worker's. The report for epoch ",
                       epoch, " was not recorded. Stop this trainer."));
    } else if (epoch >= 0 && run->epochs[epoch].attempt() == status.attempt()) {
      refused = CompareWithRecord(*run, status.attempt(), report);
    }
    if (!refused.ok()) {
      outcome.refusals.push_back({status.run(), status.attempt(), refused});
    }
  }
}

const Run* FindRun(const State& state, const std::string& name) {
  const absl::StatusOr<RunName> parsed = RunName::Parse(name);
  return parsed.ok() ? state.FindRun(*parsed) : nullptr;
}

absl::StatusOr<const Worker*> FindWorker(const State& state,
                                         const std::string& name) {
  HS_RETURN_IF_ERROR(WorkerName::Parse(name).status());
  const Worker* worker = state.fleet.Find(name);
  if (worker == nullptr) {
    return absl::NotFoundError(absl::StrCat("There is no ", name, "."));
  }
  return worker;
}

absl::StatusOr<Outcome> SetDuty(const State& state, const std::string& name,
                                bool cordoned, bool draining) {
  HS_ASSIGN_OR_RETURN(const Worker* worker, FindWorker(state, name));
  Outcome outcome;
  outcome.name = name;
  if (worker->cordoned == cordoned && worker->draining == draining) {
    return outcome;
  }
  internal::v1::WorkerStateChanged& changed =
      AddStateChange(*worker, outcome.events);
  changed.set_cordoned(cordoned);
  changed.set_draining(draining);
  return outcome;
}

}  // namespace

absl::StatusOr<Outcome> Decide(const State& state, const Synchronize& command) {
  const v1::SynchronizeRequest& request = command.request;
  HS_RETURN_IF_ERROR(CheckMessage(request));
  const Worker* worker = state.fleet.Find(request.worker());
  if (worker != nullptr && request.incarnation() < worker->incarnation) {
    return absl::AbortedError(
        absl::StrCat(request.worker(), ": incarnation ", request.incarnation(),
                     " was replaced by ", worker->incarnation,
                     ". Another agent uses this name; end this one."));
  }
  Outcome outcome;
  outcome.name = request.worker();

  // A restarted agent has lost its trainers, but for those that it lists.
  if (worker != nullptr && request.incarnation() > worker->incarnation) {
    HS_REACHED("agent_restarted");
    for (const auto& [slot, name] : worker->busy) {
      const Run& run = *state.FindRun(name);
      bool listed = false;
      for (const v1::AttemptStatus& status : request.attempts()) {
        listed = listed ||
                 (status.run() == name.ToString() &&
                  run.IsHeldBy(worker->name, status.attempt(), status.token()));
      }
      if (!listed) {
        EndAttempt(state, run, v1::Attempt::LOST, {}, false, outcome.events);
      }
    }
  }
  if (worker == nullptr || !DescribesWorker(request, *worker)) {
    internal::v1::WorkerSeen& seen =
        *outcome.events.emplace_back().mutable_worker_seen();
    seen.set_worker(request.worker());
    seen.set_incarnation(request.incarnation());
    *seen.mutable_slots() = request.slots();
    *seen.mutable_datasets() = request.datasets();
    *seen.mutable_plugins() = request.plugins();
    *seen.mutable_refused_plugins() = request.refused_plugins();
  }
  const bool same =
      worker != nullptr && worker->incarnation == request.incarnation();
  const bool gone = same && worker->gone;
  const bool leaving = same && worker->leaving;
  if (gone || (request.draining() && !leaving)) {
    Worker now;
    if (worker != nullptr) now = *worker;
    now.name = request.worker();
    internal::v1::WorkerStateChanged& changed =
        AddStateChange(now, outcome.events);
    changed.set_gone(false);
    changed.set_leaving(leaving || request.draining());
  }

  absl::btree_set<std::string> listed;
  for (const v1::AttemptStatus& status : request.attempts()) {
    const Run* run = FindRun(state, status.run());
    if (run == nullptr ||
        !run->IsHeldBy(request.worker(), status.attempt(), status.token())) {
      RefuseStale(run, status, outcome);
    } else if (listed.insert(status.run()).second) {
      TakeStatus(state, *run, status, outcome);
    }
  }
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state,
                               const LeaseExpired& command) {
  Outcome outcome;
  const Run* run = FindRun(state, command.run);
  if (run == nullptr || !run->live ||
      run->attempts.back().number() != command.attempt) {
    return outcome;
  }
  HS_REACHED("lease_expired");
  EndAttempt(state, *run, v1::Attempt::LOST, {}, false, outcome.events);
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state, const WorkerGone& command) {
  HS_ASSIGN_OR_RETURN(const Worker* worker, FindWorker(state, command.worker));
  Outcome outcome;
  outcome.name = command.worker;
  if (worker->gone) return outcome;
  AddStateChange(*worker, outcome.events).set_gone(true);
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state,
                               const CordonWorker& command) {
  HS_ASSIGN_OR_RETURN(const Worker* worker, FindWorker(state, command.name));
  return SetDuty(state, command.name, true, worker->draining);
}

absl::StatusOr<Outcome> Decide(const State& state,
                               const UncordonWorker& command) {
  return SetDuty(state, command.name, false, false);
}

absl::StatusOr<Outcome> Decide(const State& state, const DrainWorker& command) {
  return SetDuty(state, command.name, true, true);
}

}  // namespace headstart::scheduler
