#include "scheduler/core/training.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "scheduler/core/study_spec.h"
#include "scheduler/search/plugin_spec.h"

namespace headstart::scheduler {

Training::Training(const internal::v1::TrainingCreated& event,
                   const Timestamp& time)
    : number_(event.training()),
      spec_(event.spec()),
      needs_(NeedsOf(spec_.resolved_training())),
      policy_(DefaultFailurePolicy()),
      create_time_(time) {
  for (const int64_t seed : spec_.seeds()) {
    TrainingRun& run = runs_.emplace_back();
    run.run.name =
        RunName::TrainingRun(number_, static_cast<int64_t>(runs_.size()));
    run.run.SetTraining(spec_.resolved_training());
    run.run.seed = seed;
    run.run.until_epoch = spec_.resolved_training().epochs();
    waiting_.insert(run.number());
  }
  internal::v1::TrainingStateChanged initial;
  initial.set_state(spec_.state());
  initial.set_message(spec_.state_message());
  Apply(initial, time);
}

std::vector<Event> Training::Settle() const {
  if (over()) return {};
  if (!reached_.empty()) {
    Event event;
    internal::v1::TrainingRunStateChanged& changed =
        *event.mutable_training_run_state_changed();
    changed.set_training(number_);
    changed.set_run(*reached_.begin());
    changed.set_state(v1::TrainingRun::SUCCEEDED);
    return {event};
  }
  if (!waiting_.empty() || !live_.empty()) return {};
  if (CountIn(v1::TrainingRun::SUCCEEDED) > 0) {
    return End(v1::Training::SUCCEEDED, "");
  }
  return End(v1::Training::FAILED,
             absl::StrCat("None of the ", runs_.size(),
                          " runs SUCCEEDED: ", CountIn(v1::TrainingRun::FAILED),
                          " FAILED, ", CountIn(v1::TrainingRun::INFEASIBLE),
                          " INFEASIBLE."));
}

bool Training::IsSettled() const {
  return over() || (reached_.empty() && !(waiting_.empty() && live_.empty()));
}

bool Training::HasWork() const {
  return state_ == v1::Training::RUNNING && !waiting_.empty();
}

const Run& Training::NextWork() const {
  HS_CHECK(HasWork());
  return run(*waiting_.begin()).run;
}

std::vector<Event> Training::End(v1::Training::State state,
                                 std::string message) const {
  std::vector<Event> events;
  for (const int64_t number : live_) {
    const Run& held = run(number).run;
    internal::v1::AttemptEnded& ended =
        *events.emplace_back().mutable_attempt_ended();
    ended.set_run(held.name.ToString());
    ended.set_attempt(held.attempts.back().number());
    ended.set_state(v1::Attempt::RELEASED);
  }
  internal::v1::TrainingStateChanged& changed =
      *events.emplace_back().mutable_training_state_changed();
  changed.set_training(number_);
  changed.set_state(state);
  changed.set_message(std::move(message));
  return events;
}

std::vector<Event> Training::AfterEnd(int64_t number, v1::Attempt::State end,
                                      v1::Failure failure,
                                      bool newly_recorded) const {
  const RunFate fate =
      JudgeEnd(run(number).run, end, newly_recorded, policy_, failure);
  if (fate == RunFate::kWaits) return {};
  Event event;
  internal::v1::TrainingRunStateChanged& changed =
      *event.mutable_training_run_state_changed();
  changed.set_training(number_);
  changed.set_run(number);
  changed.set_state(fate == RunFate::kIsInfeasible ? v1::TrainingRun::INFEASIBLE
                                                   : v1::TrainingRun::FAILED);
  *changed.mutable_failure() = std::move(failure);
  return {event};
}

void Training::Apply(const internal::v1::TrainingStateChanged& event,
                     const Timestamp& time) {
  state_ = event.state();
  message_ = event.message();
  if (!over()) return;
  end_time_ = time;
  for (const absl::btree_set<int64_t>* open : {&waiting_, &reached_}) {
    while (!open->empty()) {
      SetState(Find(*open->begin()), v1::TrainingRun::CANCELLED);
    }
  }
}

void Training::Apply(const internal::v1::TrainingRunStateChanged& event) {
  TrainingRun& changed = Find(event.run());
  changed.failure = event.failure();
  SetState(changed, event.state());
}

void Training::Apply(int64_t number, const internal::v1::AttemptLeased& event,
                     const Timestamp& time) {
  TrainingRun& leased = Find(number);
  leased.run.Apply(event, time);
  SetState(leased, v1::TrainingRun::TRAINING);
}

void Training::Apply(int64_t number, const internal::v1::AttemptStarted& event,
                     const Timestamp&) {
  Find(number).run.Apply(event);
}

void Training::Apply(int64_t number, const internal::v1::AttemptEnded& event,
                     const Timestamp& time) {
  TrainingRun& ended = Find(number);
  ended.run.Apply(event, time);
  SetState(ended, ended.run.reached_rung() ? v1::TrainingRun::TRAINING
                                           : v1::TrainingRun::WAITING);
}

void Training::Apply(int64_t number, const internal::v1::EpochRecorded& event,
                     const Timestamp& time) {
  Find(number).run.Apply(event, time);
}

int64_t Training::CountIn(v1::TrainingRun::State state) const {
  return std::count_if(runs_.begin(), runs_.end(), [&](const TrainingRun& run) {
    return run.state == state;
  });
}

std::optional<int64_t> Training::BestEpoch(const Run& run) {
  // Higher is better.
  const auto score = [](const v1::EpochRecord& record) {
    const v1::Measurement& measurement = record.measurement();
    return measurement.has_validation_accuracy()
               ? measurement.validation_accuracy()
               : -measurement.training_loss();
  };
  std::optional<int64_t> best;
  for (const v1::EpochRecord& record : run.epochs) {
    if (record.epoch() == 0) continue;
    // A NaN loses to whatever is measured.
    if (!best.has_value() || std::isnan(score(run.epochs[*best])) ||
        score(record) > score(run.epochs[*best])) {
      best = record.epoch();
    }
  }
  return best;
}

TrainingRun& Training::Find(int64_t number) {
  HS_CHECK(HasRun(number)) << RunName::TrainingRun(number_, number).ToString();
  return runs_[number - 1];
}

void Training::SetState(TrainingRun& changed, v1::TrainingRun::State state) {
  const int64_t number = changed.number();
  waiting_.erase(number);
  live_.erase(number);
  reached_.erase(number);

  changed.state = state;
  if (state == v1::TrainingRun::WAITING) waiting_.insert(number);
  if (state == v1::TrainingRun::TRAINING) {
    (changed.run.live ? live_ : reached_).insert(number);
  }
}

}  // namespace headstart::scheduler
