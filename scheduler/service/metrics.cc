#include "scheduler/service/metrics.h"

#include <google/protobuf/descriptor.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace headstart::scheduler {
namespace {

constexpr int64_t kStudiesMax = 50;
constexpr absl::Duration kUpdatePeriod = absl::Seconds(1);

// The codes that answers may have (docs: what each means to a caller).
constexpr absl::StatusCode kCodes[] = {
    absl::StatusCode::kOk,
    absl::StatusCode::kInvalidArgument,
    absl::StatusCode::kNotFound,
    absl::StatusCode::kAlreadyExists,
    absl::StatusCode::kFailedPrecondition,
    absl::StatusCode::kAborted,
    absl::StatusCode::kResourceExhausted,
    absl::StatusCode::kUnavailable,
    absl::StatusCode::kInternal,
};

// {state} samples of counts that are indexed by an enum's number.
std::vector<Sample> ByState(const google::protobuf::EnumDescriptor& states,
                            const std::vector<int64_t>& counts) {
  std::vector<Sample> samples;
  for (int i = 0; i < states.value_count(); ++i) {
    const auto number = static_cast<size_t>(states.value(i)->number());
    if (number == 0) continue;  // STATE_UNSPECIFIED
    samples.push_back(
        {.labels = {{"state", absl::AsciiStrToLower(states.value(i)->name())}},
         .value = number < counts.size() ? static_cast<double>(counts[number])
                                         : 0.0});
  }
  return samples;
}

void AddTrialCounts(const v1::Study& study, std::vector<Sample>& samples) {
  const v1::TrialCounts& counts = study.trial_counts();
  const std::pair<const char*, int64_t> states[] = {
      {"waiting", counts.waiting()}, {"training", counts.training()},
      {"paused", counts.paused()},   {"succeeded", counts.succeeded()},
      {"stopped", counts.stopped()}, {"infeasible", counts.infeasible()},
      {"failed", counts.failed()},   {"cancelled", counts.cancelled()}};
  for (const auto& [state, count] : states) {
    samples.push_back({.labels = {{"study", study.name()}, {"state", state}},
                       .value = static_cast<double>(count)});
  }
}

}  // namespace

Metrics::Metrics(Telemetry& telemetry)
    : leases_expired_(telemetry.AddCounter(
          "headstart_leases_expired_total",
          "Attempts whose worker was not heard of for a lease.")),
      decide_seconds_(telemetry.AddHistogram(
          "headstart_scheduler_decide_seconds",
          "Time to decide and apply one command, in memory.",
          Buckets::kCallSeconds)),
      append_seconds_(telemetry.AddHistogram(
          "headstart_journal_append_seconds",
          "Time of one synced write of the events of a group of commands.",
          Buckets::kCallSeconds)) {
  for (const absl::string_view command : kCommandNames) {
    auto& counters = commands_.emplace_back();
    for (const absl::StatusCode code : kCodes) {
      counters[code] = &telemetry.AddCounter(
          "headstart_scheduler_commands_total",
          "Commands that were answered, by the code of the answer.",
          {{"command", std::string(command)},
           {"code", absl::AsciiStrToLower(absl::StatusCodeToString(code))}});
    }
  }
  callbacks_.push_back(telemetry.AddGaugeCallback(
      "headstart_studies", "Studies in each state.", Reader(&Gauges::studies)));
  callbacks_.push_back(telemetry.AddGaugeCallback("headstart_trainings",
                                                  "Trainings in each state.",
                                                  Reader(&Gauges::trainings)));
  callbacks_.push_back(telemetry.AddGaugeCallback(
      "headstart_training_runs", "Runs of trainings in each state.",
      Reader(&Gauges::training_runs)));
  callbacks_.push_back(telemetry.AddGaugeCallback(
      "headstart_trials", "Trials in each state.", Reader(&Gauges::trials)));
  callbacks_.push_back(telemetry.AddGaugeCallback(
      "headstart_workers", "Workers in each state.", Reader(&Gauges::workers)));
  callbacks_.push_back(telemetry.AddGaugeCallback(
      "headstart_study_trials",
      "Trials of a study in each state; the 50 newest live studies.",
      Reader(&Gauges::study_trials)));
  callbacks_.push_back(telemetry.AddGaugeCallback(
      "headstart_study_best_objective",
      "Objective of a study's best trial; the 50 newest live studies.",
      Reader(&Gauges::study_best_objective)));
  callbacks_.push_back(telemetry.AddCounterCallback(
      "headstart_study_epochs_total",
      "Epochs a study has recorded; the 50 newest live studies.",
      Reader(&Gauges::study_epochs)));
}

Metrics::~Metrics() = default;

Telemetry::ReadFunction Metrics::Reader(std::vector<Sample> Gauges::*samples) {
  return [this, samples] {
    MutexLock lock(&mu_);
    return gauges_.*samples;
  };
}

void Metrics::CountCommand(const Command& command, absl::StatusCode code) {
  const auto& counters = commands_[command.index()];
  const auto found = counters.find(code);
  (found == counters.end() ? counters.at(absl::StatusCode::kInternal)
                           : found->second)
      ->Increment();
}

void Metrics::CountExpiredLease() { leases_expired_.Increment(); }

void Metrics::ObserveDecide(absl::Duration duration) {
  decide_seconds_.Observe(absl::ToDoubleSeconds(duration));
}

void Metrics::ObserveAppend(absl::Duration duration) {
  append_seconds_.Observe(absl::ToDoubleSeconds(duration));
}

void Metrics::Update(const Scheduler& scheduler) {
  const Counts counts = scheduler.GetCounts();
  Gauges gauges;
  gauges.studies = ByState(*v1::Study::State_descriptor(), counts.studies);
  gauges.trainings =
      ByState(*v1::Training::State_descriptor(), counts.trainings);
  gauges.training_runs =
      ByState(*v1::TrainingRun::State_descriptor(), counts.runs);
  gauges.trials = ByState(*v1::Trial::State_descriptor(), counts.trials);
  gauges.workers = ByState(*v1::Worker::State_descriptor(), counts.workers);
  for (const std::string& name : scheduler.LiveStudies(kStudiesMax)) {
    const absl::StatusOr<v1::Study> study = scheduler.GetStudy(name);
    if (!study.ok()) continue;
    AddTrialCounts(*study, gauges.study_trials);
    if (study->has_best_objective()) {
      gauges.study_best_objective.push_back(
          {.labels = {{"study", name}}, .value = study->best_objective()});
    }
    gauges.study_epochs.push_back(
        {.labels = {{"study", name}},
         .value = static_cast<double>(study->recorded_epochs())});
  }
  MutexLock lock(&mu_);
  gauges_ = std::move(gauges);
}

void Metrics::UpdateNowAndThen(const Scheduler& scheduler, absl::Duration now) {
  if (scheduler.event_count() == updated_events_) return;
  if (updated_events_ >= 0 && now - updated_at_ < kUpdatePeriod) return;
  updated_events_ = scheduler.event_count();
  updated_at_ = now;
  Update(scheduler);
}

}  // namespace headstart::scheduler
