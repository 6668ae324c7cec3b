#include "scheduler/core/study.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/random_stream.h"
#include "scheduler/search/plugin_spec.h"
#include "scheduler/search/registry.h"
#include "scheduler/search/spec_defaults.h"

namespace headstart::scheduler {
namespace {

Space SpaceOf(const v1::Study& spec) {
  absl::StatusOr<Space> space =
      Space::Create(spec.search().parameters(), spec.training());
  HS_CHECK_OK(space.status());
  return *std::move(space);
}

std::unique_ptr<SearchMethod> SearchOf(const v1::Study& spec,
                                       const Space& space) {
  absl::StatusOr<std::unique_ptr<SearchMethod>> search =
      CreateSearchMethod(spec.search(), space, spec.training().epochs());
  HS_CHECK_OK(search.status());
  return *std::move(search);
}

std::string MetricName(const v1::Objective& objective) {
  switch (objective.metric()) {
    case v1::Objective::VALIDATION_ACCURACY:
      return "validation_accuracy";
    case v1::Objective::VALIDATION_LOSS:
      return "validation_loss";
    default:
      return "training_loss";
  }
}

}  // namespace

Study::Study(const internal::v1::StudyCreated& event, const Timestamp& time)
    : number_(event.study()),
      spec_(event.spec()),
      needs_(NeedsOf(spec_.training())),
      space_(SpaceOf(spec_)),
      search_(SearchOf(spec_, space_)),
      create_time_(time) {}

std::vector<Event> Study::Settle() const {
  if (over()) return {};
  if (!reached_.empty()) return {JudgeReached(trial(*reached_.begin()))};
  if (state_ == v1::Study::PAUSED) return {};
  if (IsOverLimit()) {
    return End(v1::Study::FAILED,
               absl::StrCat(CountIn(v1::Trial::FAILED),
                            " trials FAILED, more than "
                            "failure_policy.max_failed_trials, which is ",
                            spec_.failure_policy().max_failed_trials(), "."));
  }
  if (const std::optional<Decision> stop = search_->Stop(); stop.has_value()) {
    Event event;
    internal::v1::TrialStateChanged& changed =
        *event.mutable_trial_state_changed();
    changed.set_study(number_);
    changed.set_trial(stop->trial);
    changed.set_state(v1::Trial::STOPPED);
    *changed.mutable_decision() = stop->record;
    return {event};
  }
  return IsSearchOver() ? EndOfSearch() : std::vector<Event>();
}

std::optional<int> Study::NextThen() const {
  if (state_ != v1::Study::SUCCEEDED || then_created_ == spec_.then_size()) {
    return std::nullopt;
  }
  return then_created_;
}

bool Study::IsSettled() const {
  if (over()) return !NextThen().has_value();
  if (!reached_.empty()) return false;
  if (state_ == v1::Study::PAUSED) return true;
  return !IsOverLimit() && !search_->Stop().has_value() && !IsSearchOver();
}

Event Study::JudgeReached(const Trial& trial) const {
  Event event;
  internal::v1::TrialStateChanged& changed =
      *event.mutable_trial_state_changed();
  changed.set_study(number_);
  changed.set_trial(trial.number());
  const double objective = *ObjectiveAtEnd(trial);
  if (!std::isfinite(objective)) {
    changed.set_state(v1::Trial::INFEASIBLE);
    *changed.mutable_failure() =
        MakeFailure(v1::Failure::NON_FINITE_LOSS,
                    absl::StrCat("After epoch ", trial.run.recorded_epoch(),
                                 " the ", MetricName(spec_.objective()), " is ",
                                 DoubleText(objective), "."));
    return event;
  }
  Decision decision =
      search_->Reach(trial.number(), LossOf(spec_.objective(), objective));
  changed.set_state(decision.record.kind() == v1::TrialDecision::COMPLETED
                        ? v1::Trial::SUCCEEDED
                        : v1::Trial::PAUSED);
  if (trial.run.stopped()) {
    const int64_t epoch = trial.run.recorded_epoch();
    decision.record.set_rung_epochs(epoch);
    decision.record.set_text(
        absl::StrCat("Completed: epoch ", epoch,
                     " reached early_stop.validation_accuracy, with place ",
                     decision.record.rank(), " of ",
                     decision.record.rung_size(), " so far."));
  }
  *changed.mutable_decision() = std::move(decision.record);
  return event;
}

std::vector<Event> Study::EndOfSearch() const {
  if (standings_.empty() || standings_.begin()->rank.non_finite) {
    return End(v1::Study::FAILED,
               absl::StrCat("None of the ", trial_count(),
                            " trials can win: ", CountIn(v1::Trial::FAILED),
                            " FAILED, ", CountIn(v1::Trial::INFEASIBLE),
                            " INFEASIBLE, ", CountIn(v1::Trial::STOPPED),
                            " STOPPED without a measurement."));
  }
  std::vector<Event> events = End(v1::Study::SUCCEEDED, "");
  events.back().mutable_study_state_changed()->set_winner(
      standings_.begin()->rank.trial);
  return events;
}

std::vector<Event> Study::End(v1::Study::State state,
                              std::string message) const {
  std::vector<Event> events;
  for (const int64_t number : live_) {
    const Run& run = trial(number).run;
    internal::v1::AttemptEnded& ended =
        *events.emplace_back().mutable_attempt_ended();
    ended.set_run(run.name.ToString());
    ended.set_attempt(run.attempts.back().number());
    ended.set_state(v1::Attempt::RELEASED);
  }
  internal::v1::StudyStateChanged& changed =
      *events.emplace_back().mutable_study_state_changed();
  changed.set_study(number_);
  changed.set_state(state);
  changed.set_message(std::move(message));
  return events;
}

bool Study::IsOverLimit() const {
  const v1::FailurePolicy& policy = spec_.failure_policy();
  return policy.has_max_failed_trials() &&
         CountIn(v1::Trial::FAILED) > policy.max_failed_trials();
}

bool Study::IsSearchOver() const {
  return waiting_.empty() && live_.empty() && reached_.empty() &&
         paused_.empty() && trial_count() == search_->trial_count();
}

bool Study::HasWork() const {
  return state_ == v1::Study::RUNNING &&
         (!waiting_.empty() || search_->Next().has_value());
}

Study::Work Study::NextWork() const {
  HS_CHECK(HasWork());
  Work work;
  if (!waiting_.empty()) {
    const Run& run = trial(*waiting_.begin()).run;
    work.run = run.name;
    work.attempt = static_cast<int64_t>(run.attempts.size()) + 1;
    work.from_epoch = run.from_epoch();
    work.until_epoch = run.until_epoch;
    return work;
  }

  Decision decision = *search_->Next();
  const int64_t number = decision.trial;
  work.run = RunName::Trial(number_, number);
  work.until_epoch = decision.record.until_epoch();
  if (decision.record.kind() == v1::TrialDecision::PROMOTED) {
    const Run& run = trial(number).run;
    work.attempt = static_cast<int64_t>(run.attempts.size()) + 1;
    work.from_epoch = run.from_epoch();
    internal::v1::TrialPromoted& promoted =
        *work.events.emplace_back().mutable_trial_promoted();
    promoted.set_study(number_);
    promoted.set_trial(number);
    promoted.set_until_epoch(work.until_epoch);
    *promoted.mutable_decision() = std::move(decision.record);
    return work;
  }

  work.attempt = 1;
  Point point = search_->Choose(space_, spec_.seed(), number);
  // A searched warm-up or number of epochs takes the cosine along.
  ForgetDerivedPeriod(spec_.training(), point.training);
  absl::StatusOr<v1::TrainingSpec> training =
      CompleteSpec(point.training, "training");
  internal::v1::TrialCreated& created =
      *work.events.emplace_back().mutable_trial_created();
  created.set_study(number_);
  created.set_trial(number);
  created.mutable_values()->Assign(point.values.begin(), point.values.end());
  *created.mutable_training() = training.ok() ? *training : point.training;
  created.set_seed(RandomStream(static_cast<uint64_t>(spec_.seed()))
                       .Child("trial", number)
                       .Child("seed")
                       .Bits63());
  created.set_until_epoch(work.until_epoch);
  *created.mutable_decision() = std::move(decision.record);
  if (!training.ok()) {
    work.run.reset();
    internal::v1::TrialStateChanged& changed =
        *work.events.emplace_back().mutable_trial_state_changed();
    changed.set_study(number_);
    changed.set_trial(number);
    changed.set_state(v1::Trial::INFEASIBLE);
    *changed.mutable_failure() = MakeFailure(
        v1::Failure::INVALID_SPEC, std::string(training.status().message()));
  }
  return work;
}

std::vector<Event> Study::AfterEnd(int64_t number, v1::Attempt::State end,
                                   v1::Failure failure,
                                   bool newly_recorded) const {
  const RunFate fate = JudgeEnd(trial(number).run, end, newly_recorded,
                                spec_.failure_policy(), failure);
  if (fate == RunFate::kWaits) return {};
  Event event;
  internal::v1::TrialStateChanged& changed =
      *event.mutable_trial_state_changed();
  changed.set_study(number_);
  changed.set_trial(number);
  changed.set_state(fate == RunFate::kIsInfeasible ? v1::Trial::INFEASIBLE
                                                   : v1::Trial::FAILED);
  *changed.mutable_failure() = std::move(failure);
  return {event};
}

void Study::Apply(const internal::v1::StudyStateChanged& event,
                  const Timestamp& time) {
  state_ = event.state();
  message_ = event.message();
  winner_ = event.winner();
  if (!over()) return;
  end_time_ = time;
  for (const absl::btree_set<int64_t>* open :
       {&waiting_, &paused_, &reached_}) {
    while (!open->empty()) {
      Trial& trial = Find(*open->begin());
      SetState(trial, v1::Trial::CANCELLED);
      trial.end_time = time;
    }
  }
}

void Study::Apply(const internal::v1::TrialCreated& event,
                  const Timestamp& time) {
  HS_CHECK_EQ(event.trial(), trial_count() + 1);
  Trial& trial = trials_.emplace_back();
  trial.run.name = RunName::Trial(number_, event.trial());
  trial.run.SetTraining(event.training());
  trial.run.seed = event.seed();
  trial.run.until_epoch = event.until_epoch();
  trial.values.assign(event.values().begin(), event.values().end());
  trial.decisions.push_back(event.decision());
  trial.create_time = time;
  ++counts_[trial.state];
  waiting_.insert(event.trial());
  search_->Observe({.kind = TrialEvent::Kind::kStarted,
                    .trial = event.trial(),
                    .epochs = event.until_epoch()});
}

void Study::Apply(const internal::v1::TrialPromoted& event) {
  Trial& trial = Find(event.trial());
  trial.run.until_epoch = event.until_epoch();
  trial.decisions.push_back(event.decision());
  SetState(trial, v1::Trial::WAITING);
  search_->Observe({.kind = TrialEvent::Kind::kPromoted,
                    .trial = event.trial(),
                    .epochs = event.until_epoch()});
}

void Study::Apply(const internal::v1::TrialStateChanged& event,
                  const Timestamp& time) {
  Trial& trial = Find(event.trial());
  if (event.has_decision()) trial.decisions.push_back(event.decision());
  TrialEvent fact{.kind = TrialEvent::Kind::kWithdrawn, .trial = event.trial()};
  switch (event.state()) {
    case v1::Trial::PAUSED:
    case v1::Trial::SUCCEEDED:
      fact.kind = TrialEvent::Kind::kReached;
      fact.loss = LossOf(spec_.objective(), *ObjectiveAtEnd(trial));
      break;
    case v1::Trial::INFEASIBLE:
    case v1::Trial::FAILED:
      fact.kind = TrialEvent::Kind::kFailed;
      trial.failure = event.failure();
      break;
    case v1::Trial::WAITING:
      fact.kind = TrialEvent::Kind::kRetried;
      trial.failure.Clear();
      trial.end_time.Clear();
      break;
    default:
      break;
  }
  search_->Observe(fact);
  SetState(trial, event.state());
  if (trial.over()) trial.end_time = time;
}

void Study::Apply(int64_t number, const internal::v1::AttemptLeased& event,
                  const Timestamp& time) {
  Trial& trial = Find(number);
  trial.run.Apply(event, time);
  SetState(trial, v1::Trial::TRAINING);
}

void Study::Apply(int64_t number, const internal::v1::AttemptStarted& event,
                  const Timestamp&) {
  Find(number).run.Apply(event);
}

void Study::Apply(int64_t number, const internal::v1::AttemptEnded& event,
                  const Timestamp& time) {
  Trial& trial = Find(number);
  trial.run.Apply(event, time);
  SetState(trial,
           trial.run.reached_rung() ? v1::Trial::TRAINING : v1::Trial::WAITING);
}

void Study::Apply(int64_t number, const internal::v1::EpochRecorded& event,
                  const Timestamp& time) {
  Trial& trial = Find(number);
  const int64_t before = trial.run.recorded_epoch();
  trial.run.Apply(event, time);
  if (trial.run.recorded_epoch() > std::max<int64_t>(before, 0)) {
    ++recorded_epochs_;
  }
  SetStanding(trial);
}

void Study::Apply(int64_t number, const internal::v1::RetriesRenewed&,
                  const Timestamp&) {
  Find(number).run.RenewRetries();
}

void Study::AddTraining(int64_t training, bool is_arm) {
  trainings_.push_back(training);
  if (!is_arm) ++then_created_;
}

void Study::AddComparison(int64_t comparison) {
  comparisons_.push_back(comparison);
  ++then_created_;
}

std::optional<double> Study::ObjectiveAtEnd(const Trial& trial) const {
  if (trial.run.recorded_epoch() < 1) return std::nullopt;
  return ObjectiveOf(spec_.objective(), trial.run.epochs.back().measurement());
}

Trial& Study::Find(int64_t number) {
  HS_CHECK(HasTrial(number)) << RunName::Trial(number_, number).ToString();
  return trials_[number - 1];
}

void Study::SetState(Trial& trial, v1::Trial::State state) {
  const int64_t number = trial.number();
  --counts_[trial.state];
  waiting_.erase(number);
  live_.erase(number);
  reached_.erase(number);
  paused_.erase(number);

  trial.state = state;
  ++counts_[state];
  if (state == v1::Trial::WAITING) waiting_.insert(number);
  if (state == v1::Trial::PAUSED) paused_.insert(number);
  if (state == v1::Trial::TRAINING) {
    (trial.run.live ? live_ : reached_).insert(number);
  }
  SetStanding(trial);
}

void Study::SetStanding(Trial& trial) {
  if (trial.standing.has_value()) {
    standings_.erase(*trial.standing);
    final_standings_.erase(*trial.standing);
  }
  trial.standing.reset();
  const std::optional<double> objective = ObjectiveAtEnd(trial);
  if (!objective.has_value() || trial.state == v1::Trial::FAILED ||
      trial.state == v1::Trial::INFEASIBLE) {
    return;
  }
  Standing standing;
  if (spec_.objective().rank() == v1::Objective::MAX_EPOCHS_FIRST) {
    for (const int64_t rung : search_->rung_epochs()) {
      // A trial that reached its target need not go further.
      if (rung > trial.run.recorded_epoch() && !trial.run.stopped()) {
        ++standing.rungs_missed;
      }
    }
  }
  standing.rank =
      Rank::Of(LossOf(spec_.objective(), *objective), trial.number());
  trial.standing = standing;
  standings_.insert(standing);
  if (trial.over()) final_standings_.insert(standing);
}

}  // namespace headstart::scheduler
