// Studies and trials as users see them.
#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"

#include "base/names.h"
#include "base/status_macros.h"
#include "scheduler/core/scheduler.h"
#include "scheduler/core/sources.h"
#include "scheduler/core/study_spec.h"
#include "scheduler/core/view.h"
#include "scheduler/search/plugin_spec.h"

namespace headstart::scheduler {
namespace {

constexpr int64_t kWatchedBest = 5;
constexpr int64_t kWatchedTraining = 100;

// What holds the trial now, in one sentence.
std::string NowText(const State& state, const Study& study,
                    const Trial& trial) {
  const Run& run = trial.run;
  switch (trial.state) {
    case v1::Trial::WAITING:
      if (study.state() == v1::Study::PAUSED) {
        return absl::StrCat(
            "It waits until the study is resumed, to train to "
            "epoch ",
            run.until_epoch, ".");
      }
      return absl::StrCat("It waits for a slot, to train to epoch ",
                          run.until_epoch, ": ",
                          WhyWaiting(state, study.needs()));
    case v1::Trial::TRAINING: {
      const v1::Attempt& attempt = run.attempts.back();
      const std::string waits = WhatItWaitsFor(state, run);
      return absl::StrCat(
          "Attempt ", attempt.number(), " on ", attempt.worker(), ", slot ",
          attempt.slot(), ", trains it to epoch ", run.until_epoch, "; ",
          run.epochs.empty()
              ? "no epoch is recorded yet."
              : absl::StrCat("epoch ", run.recorded_epoch(), " is recorded."),
          waits.empty() ? "" : absl::StrCat(" It waits for ", waits));
    }
    case v1::Trial::PAUSED:
      return absl::StrCat("It is paused at epoch ", run.recorded_epoch(),
                          " and may still be promoted.");
    case v1::Trial::SUCCEEDED:
      return absl::StrCat("It is done: it reached the last epoch, ",
                          run.recorded_epoch(), ".");
    case v1::Trial::STOPPED:
      return trial.decisions.back().kind() == v1::TrialDecision::STOPPED
                 ? "It is over: the search stopped it."
                 : "It is over: a person stopped it.";
    case v1::Trial::CANCELLED:
      return "It is over: it was cancelled with its study.";
    case v1::Trial::FAILED:
    case v1::Trial::INFEASIBLE:
      return absl::StrCat("It is over, ", v1::Trial::State_Name(trial.state),
                          ": ", trial.failure.message());
    default:
      return "";
  }
}

}  // namespace

v1::Study ViewStudy(const State& state, const Study& study) {
  v1::Study view = study.spec();
  view.set_name(StudyName{study.number()}.ToString());
  view.set_state(study.state());
  view.set_state_message(study.message());
  if (study.state() == v1::Study::RUNNING && study.live().empty() &&
      study.HasWork()) {
    view.set_state_message(WhyWaiting(state, study.needs()));
  } else if (std::string waits =
                 WhatAttemptsWaitFor(state, RunKind::kTrial, study.number());
             !waits.empty()) {
    view.set_state_message(std::move(waits));
  }
  *view.mutable_create_time() = study.create_time();
  if (study.over()) *view.mutable_end_time() = study.end_time();
  v1::TrialCounts& counts = *view.mutable_trial_counts();
  counts.set_waiting(study.CountIn(v1::Trial::WAITING));
  counts.set_training(study.CountIn(v1::Trial::TRAINING));
  counts.set_paused(study.CountIn(v1::Trial::PAUSED));
  counts.set_succeeded(study.CountIn(v1::Trial::SUCCEEDED));
  counts.set_stopped(study.CountIn(v1::Trial::STOPPED));
  counts.set_infeasible(study.CountIn(v1::Trial::INFEASIBLE));
  counts.set_failed(study.CountIn(v1::Trial::FAILED));
  counts.set_cancelled(study.CountIn(v1::Trial::CANCELLED));
  view.set_recorded_epochs(study.recorded_epochs());
  if (!study.standings().empty()) {
    const Trial& best = study.trial(
        study.winner() != 0 ? study.winner()
                            : study.standings().begin()->rank.trial);
    view.set_best_trial(best.run.name.ToString());
    view.set_best_objective(*study.ObjectiveAtEnd(best));
    view.set_best_epoch(best.run.recorded_epoch());
  }
  // What was deleted since is no longer there to be asked for.
  for (const int64_t training : study.trainings()) {
    if (state.FindTraining(training) == nullptr) continue;
    view.add_trainings(TrainingName{training}.ToString());
  }
  for (const int64_t comparison : study.comparisons()) {
    if (!state.comparisons.contains(comparison)) continue;
    view.add_comparisons(ComparisonName{comparison}.ToString());
  }
  return view;
}

v1::Trial ViewTrial(const Study& study, const Trial& trial, Detail detail) {
  const Run& run = trial.run;
  v1::Trial view;
  view.set_name(run.name.ToString());
  view.set_state(trial.state);
  view.mutable_values()->Assign(trial.values.begin(), trial.values.end());
  *view.mutable_training() = run.ParseTraining();
  view.set_seed(run.seed);
  view.set_epoch(std::max<int64_t>(run.recorded_epoch(), 0));
  if (const auto objective = study.ObjectiveAtEnd(trial);
      objective.has_value()) {
    view.set_objective(*objective);
  }
  if (detail == Detail::kFull) {
    view.mutable_epochs()->Assign(run.epochs.begin(), run.epochs.end());
    view.mutable_attempts()->Assign(run.attempts.begin(), run.attempts.end());
  }
  if (trial.failure.reason() != v1::Failure::REASON_UNSPECIFIED) {
    *view.mutable_failure() = trial.failure;
  }
  *view.mutable_create_time() = trial.create_time;
  if (trial.over()) *view.mutable_end_time() = trial.end_time;
  return view;
}

absl::StatusOr<v1::Study> Scheduler::GetStudy(absl::string_view name) const {
  HS_ASSIGN_OR_RETURN(const Study* study, state_->GetStudy(name));
  return ViewStudy(*state_, *study);
}

absl::StatusOr<v1::ListStudiesResponse> Scheduler::ListStudies(
    const v1::ListStudiesRequest& request) const {
  HS_ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size()));
  HS_ASSIGN_OR_RETURN(const int64_t start, PageStart(request.page_token()));
  v1::ListStudiesResponse response;
  for (auto it = state_->studies.upper_bound(start);
       it != state_->studies.end(); ++it) {
    if (response.studies_size() == size) {
      response.set_next_page_token(
          absl::StrCat(std::prev(it)->second->number()));
      break;
    }
    *response.add_studies() = ViewStudy(*state_, *it->second);
  }
  return response;
}

absl::StatusOr<v1::WatchStudyResponse> Scheduler::DescribeStudy(
    absl::string_view name) const {
  HS_ASSIGN_OR_RETURN(const Study* study, state_->GetStudy(name));
  v1::WatchStudyResponse response;
  *response.mutable_study() = ViewStudy(*state_, *study);
  for (const Standing& standing : study->standings()) {
    if (response.best_trials_size() == kWatchedBest) break;
    *response.add_best_trials() =
        ViewTrial(*study, study->trial(standing.rank.trial), Detail::kBrief);
  }
  for (const int64_t number : study->live()) {
    if (response.training_trials_size() == kWatchedTraining) break;
    *response.add_training_trials() =
        ViewTrial(*study, study->trial(number), Detail::kBrief);
  }
  return response;
}

absl::StatusOr<v1::CreateStudyResponse> Scheduler::PlanStudy(
    const v1::Study& study) const {
  v1::CreateStudyResponse response;
  HS_ASSIGN_OR_RETURN(*response.mutable_study(), CompleteStudy(*state_, study));
  const std::vector<std::string> needs = NeedsOf(response.study().training());
  int64_t slots = 0;
  for (const auto& [name, worker] : state_->fleet.workers()) {
    if (!worker.gone && worker.Offers(needs)) {
      slots += static_cast<int64_t>(worker.slots.size());
    }
  }
  *response.mutable_plan() = PlanOf(response.study(), slots);
  return response;
}

absl::StatusOr<v1::Trial> Scheduler::GetTrial(absl::string_view name) const {
  HS_ASSIGN_OR_RETURN(const State::TrialOfStudy found, state_->GetTrial(name));
  return ViewTrial(*found.study, *found.trial, Detail::kFull);
}

absl::StatusOr<v1::ListTrialsResponse> Scheduler::ListTrials(
    const v1::ListTrialsRequest& request) const {
  HS_ASSIGN_OR_RETURN(const Study* study, state_->GetStudy(request.parent()));
  HS_ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size()));
  HS_ASSIGN_OR_RETURN(const int64_t start, PageStart(request.page_token()));
  if (!v1::Trial::State_IsValid(request.state())) {
    return absl::InvalidArgumentError("state: is not a state of a trial.");
  }
  if (request.best() < 0 || request.best() > 1'000) {
    return absl::InvalidArgumentError(absl::StrCat(
        "best: must be from 0 to 1,000, got ", request.best(), "."));
  }
  const auto wanted = [&](const Trial& trial) {
    return request.state() == v1::Trial::STATE_UNSPECIFIED ||
           trial.state == request.state();
  };
  v1::ListTrialsResponse response;
  if (request.best() > 0) {
    for (const Standing& standing : study->standings()) {
      if (response.trials_size() == request.best()) break;
      const Trial& trial = study->trial(standing.rank.trial);
      if (wanted(trial)) {
        *response.add_trials() = ViewTrial(*study, trial, Detail::kBrief);
      }
    }
    return response;
  }
  int64_t last = 0;
  for (int64_t number = start + 1; number <= study->trial_count(); ++number) {
    const Trial& trial = study->trial(number);
    if (!wanted(trial)) continue;
    if (response.trials_size() == size) {
      response.set_next_page_token(absl::StrCat(last));
      break;
    }
    *response.add_trials() = ViewTrial(*study, trial, Detail::kBrief);
    last = number;
  }
  return response;
}

absl::StatusOr<v1::ExplainTrialResponse> Scheduler::ExplainTrial(
    absl::string_view name) const {
  HS_ASSIGN_OR_RETURN(const State::TrialOfStudy found, state_->GetTrial(name));
  v1::ExplainTrialResponse response;
  for (const v1::TrialDecision& decision : found.trial->decisions) {
    *response.add_decisions() = decision;
  }
  response.set_now(NowText(*state_, *found.study, *found.trial));
  return response;
}

std::vector<std::string> Scheduler::LiveStudies(int64_t max) const {
  std::vector<std::string> names;
  for (auto it = state_->studies.rbegin(); it != state_->studies.rend(); ++it) {
    if (static_cast<int64_t>(names.size()) == max) break;
    if (it->second->over()) continue;
    names.push_back(StudyName{it->second->number()}.ToString());
  }
  return names;
}

}  // namespace headstart::scheduler
