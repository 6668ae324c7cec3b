// What people ask of comparisons.
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "base/names.h"
#include "base/status_macros.h"
#include "scheduler/core/comparison.h"
#include "scheduler/core/decide.h"
#include "scheduler/core/view.h"

namespace headstart::scheduler {

std::vector<Event> CreationOf(const State& state, ResolvedComparison resolved) {
  std::vector<Event> events;
  const std::string name = ComparisonName{state.next_comparison}.ToString();
  int64_t number = state.next_training;
  int arm = 0;
  for (v1::Training& training : resolved.trainings) {
    v1::ComparisonArm& spec = *resolved.spec.mutable_arms(arm++);
    spec.set_training_name(TrainingName{number}.ToString());
    training.set_display_name(absl::StrCat(name, ": ", spec.label()));
    training.set_arm_of(name);
    if (resolved.spec.started_by_study()) {
      training.set_study(resolved.spec.study());
    }
    internal::v1::TrainingCreated& created =
        *events.emplace_back().mutable_training_created();
    created.set_training(number++);
    *created.mutable_spec() = std::move(training);
  }
  internal::v1::ComparisonCreated& created =
      *events.emplace_back().mutable_comparison_created();
  created.set_comparison(state.next_comparison);
  *created.mutable_spec() = std::move(resolved.spec);
  return events;
}

absl::StatusOr<Outcome> Decide(const State& state,
                               const CreateComparison& command) {
  HS_ASSIGN_OR_RETURN(
      ResolvedComparison resolved,
      ResolveComparison(state, WrittenPart(command.comparison), ""));
  Outcome outcome;
  outcome.name = ComparisonName{state.next_comparison}.ToString();
  outcome.events = CreationOf(state, std::move(resolved));
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state,
                               const CancelComparison& command) {
  HS_ASSIGN_OR_RETURN(const Comparison* comparison,
                      state.GetComparison(command.name));
  Outcome outcome;
  outcome.name = command.name;
  for (const int64_t number : comparison->trainings) {
    const Training& training = *state.FindTraining(number);
    if (training.over()) continue;
    for (Event& event : training.End(v1::Training::CANCELLED, "")) {
      outcome.events.push_back(std::move(event));
    }
  }
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state,
                               const DeleteComparison& command) {
  HS_ASSIGN_OR_RETURN(const Comparison* comparison,
                      state.GetComparison(command.name));
  if (ViewComparison(state, *comparison).state() == v1::Comparison::RUNNING) {
    return absl::FailedPreconditionError(absl::StrCat(
        command.name, " is RUNNING; cancel it before deleting it."));
  }
  Outcome outcome;
  outcome.name = command.name;
  for (const int64_t number : comparison->trainings) {
    const auto users = state.users.find(Owner::Training(number));
    if (users != state.users.end()) {
      return absl::FailedPreconditionError(absl::StrCat(
          command.name, ": ", users->second.begin()->ToString(),
          " starts from a checkpoint of its ", TrainingName{number}.ToString(),
          ". Delete that first."));
    }
    outcome.events.emplace_back().mutable_training_deleted()->set_training(
        number);
  }
  outcome.events.emplace_back().mutable_comparison_deleted()->set_comparison(
      comparison->number);
  return outcome;
}

}  // namespace headstart::scheduler
