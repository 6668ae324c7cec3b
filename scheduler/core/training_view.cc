// Trainings as users see them.
#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/names.h"
#include "base/status_macros.h"
#include "proto/checkpoint_fields.h"
#include "scheduler/core/scheduler.h"
#include "scheduler/core/sources.h"
#include "scheduler/core/view.h"

namespace headstart::scheduler {

v1::Training ViewTraining(const State& state, const Training& training,
                          Detail detail) {
  v1::Training view = training.spec();
  view.set_name(TrainingName{training.number()}.ToString());
  view.set_state(training.state());
  view.set_state_message(training.message());
  if (training.state() == v1::Training::PREPARING) {
    view.set_state_message(absl::StrCat(
        "storage is asked to keep ",
        absl::StrJoin(CheckpointsIn(training.spec().resolved_training()), ", "),
        "."));
  } else if (training.HasWork() && training.live().empty()) {
    view.set_state_message(WhyWaiting(state, training.needs()));
  } else if (std::string waits = WhatAttemptsWaitFor(
                 state, RunKind::kTrainingRun, training.number());
             !waits.empty()) {
    view.set_state_message(std::move(waits));
  }
  for (const TrainingRun& run : training.runs()) {
    v1::TrainingRun& run_view = *view.add_runs();
    run_view.set_name(run.run.name.ToString());
    run_view.set_seed(run.run.seed);
    run_view.set_state(run.state);
    run_view.set_epoch(std::max<int64_t>(run.run.recorded_epoch(), 0));
    if (detail == Detail::kFull) {
      run_view.mutable_epochs()->Assign(run.run.epochs.begin(),
                                        run.run.epochs.end());
      run_view.mutable_attempts()->Assign(run.run.attempts.begin(),
                                          run.run.attempts.end());
    }
    if (run.failure.reason() != v1::Failure::REASON_UNSPECIFIED) {
      *run_view.mutable_failure() = run.failure;
    }
  }
  *view.mutable_create_time() = training.create_time();
  if (training.over()) *view.mutable_end_time() = training.end_time();
  return view;
}

absl::StatusOr<v1::Training> Scheduler::GetTraining(
    absl::string_view name) const {
  HS_ASSIGN_OR_RETURN(const Training* training, state_->GetTraining(name));
  return ViewTraining(*state_, *training, Detail::kFull);
}

absl::StatusOr<v1::ListTrainingsResponse> Scheduler::ListTrainings(
    const v1::ListTrainingsRequest& request) const {
  HS_ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size()));
  HS_ASSIGN_OR_RETURN(const int64_t start, PageStart(request.page_token()));
  v1::ListTrainingsResponse response;
  for (auto it = state_->trainings.upper_bound(start);
       it != state_->trainings.end(); ++it) {
    if (response.trainings_size() == size) {
      response.set_next_page_token(
          absl::StrCat(std::prev(it)->second->number()));
      break;
    }
    *response.add_trainings() =
        ViewTraining(*state_, *it->second, Detail::kBrief);
  }
  return response;
}

absl::StatusOr<v1::Training> Scheduler::PlanTraining(
    const v1::Training& training) const {
  return ResolveTraining(*state_, training, "");
}

std::vector<std::string> Scheduler::PreparingTrainings() const {
  std::vector<std::string> names;
  for (const auto& [number, training] : state_->trainings) {
    if (training->state() == v1::Training::PREPARING) {
      names.push_back(TrainingName{number}.ToString());
    }
  }
  return names;
}

}  // namespace headstart::scheduler
