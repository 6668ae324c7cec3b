// What people ask of studies and trials.
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "base/names.h"
#include "base/status_macros.h"
#include "scheduler/core/decide.h"
#include "scheduler/core/study_spec.h"

namespace headstart::scheduler {
namespace {

absl::Status NotInState(absl::string_view name, absl::string_view state,
                        absl::string_view allowed) {
  return absl::FailedPreconditionError(
      absl::StrCat(name, " is ", state, "; ", allowed));
}

// The outcome of a command about `name` that changes nothing.
Outcome Unchanged(std::string name) {
  Outcome outcome;
  outcome.name = std::move(name);
  return outcome;
}

Event StateChange(int64_t study, v1::Study::State state) {
  Event event;
  event.mutable_study_state_changed()->set_study(study);
  event.mutable_study_state_changed()->set_state(state);
  return event;
}

// A trial named as such: studies/{n}/winner does not do for a change.
absl::StatusOr<State::TrialOfStudy> FindTrial(const State& state,
                                              const std::string& name) {
  HS_RETURN_IF_ERROR(RunName::Parse(name).status());
  return state.GetTrial(name);
}

}  // namespace

absl::StatusOr<Outcome> Decide(const State& state, const CreateStudy& command) {
  HS_ASSIGN_OR_RETURN(v1::Study study, CompleteStudy(state, command.study));
  Outcome outcome;
  outcome.name = StudyName{state.next_study}.ToString();
  internal::v1::StudyCreated& created =
      *outcome.events.emplace_back().mutable_study_created();
  created.set_study(state.next_study);
  *created.mutable_spec() = std::move(study);
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state, const PauseStudy& command) {
  HS_ASSIGN_OR_RETURN(const Study* study, state.GetStudy(command.name));
  Outcome outcome = Unchanged(command.name);
  if (study->state() == v1::Study::PAUSED) return outcome;
  if (study->over()) {
    return NotInState(command.name, v1::Study::State_Name(study->state()),
                      "only a RUNNING study can be paused.");
  }
  outcome.events.push_back(StateChange(study->number(), v1::Study::PAUSED));
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state, const ResumeStudy& command) {
  HS_ASSIGN_OR_RETURN(const Study* study, state.GetStudy(command.name));
  Outcome outcome = Unchanged(command.name);
  if (study->state() == v1::Study::RUNNING) return outcome;
  if (study->over()) {
    return NotInState(command.name, v1::Study::State_Name(study->state()),
                      "only a PAUSED study can be resumed.");
  }
  outcome.events.push_back(StateChange(study->number(), v1::Study::RUNNING));
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state, const CancelStudy& command) {
  HS_ASSIGN_OR_RETURN(const Study* study, state.GetStudy(command.name));
  Outcome outcome = Unchanged(command.name);
  if (study->state() == v1::Study::CANCELLED) return outcome;
  if (study->over()) {
    return NotInState(command.name, v1::Study::State_Name(study->state()),
                      "only a RUNNING or PAUSED study can be cancelled.");
  }
  outcome.events = study->End(v1::Study::CANCELLED, "");
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state, const DeleteStudy& command) {
  HS_ASSIGN_OR_RETURN(const Study* study, state.GetStudy(command.name));
  if (!study->over()) {
    return NotInState(command.name, v1::Study::State_Name(study->state()),
                      "cancel it before deleting it.");
  }
  const auto users = state.users.find(Owner::Study(study->number()));
  if (users != state.users.end()) {
    return absl::FailedPreconditionError(absl::StrCat(
        command.name, ": ", users->second.begin()->ToString(),
        " starts from one of its checkpoints. Delete that first."));
  }
  Outcome outcome = Unchanged(command.name);
  outcome.events.emplace_back().mutable_study_deleted()->set_study(
      study->number());
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state, const StopTrial& command) {
  HS_ASSIGN_OR_RETURN(const State::TrialOfStudy found,
                      FindTrial(state, command.name));
  const Trial& trial = *found.trial;
  Outcome outcome = Unchanged(command.name);
  if (trial.state == v1::Trial::STOPPED) return outcome;
  if (trial.over()) {
    return NotInState(
        command.name, v1::Trial::State_Name(trial.state),
        "only a WAITING, TRAINING or PAUSED trial can be stopped.");
  }
  if (trial.run.live) {
    internal::v1::AttemptEnded& ended =
        *outcome.events.emplace_back().mutable_attempt_ended();
    ended.set_run(command.name);
    ended.set_attempt(trial.run.attempts.back().number());
    ended.set_state(v1::Attempt::RELEASED);
  }
  internal::v1::TrialStateChanged& changed =
      *outcome.events.emplace_back().mutable_trial_state_changed();
  changed.set_study(found.study->number());
  changed.set_trial(trial.number());
  changed.set_state(v1::Trial::STOPPED);
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state, const RetryTrial& command) {
  HS_ASSIGN_OR_RETURN(const State::TrialOfStudy found,
                      FindTrial(state, command.name));
  const Study& study = *found.study;
  if (found.trial->state != v1::Trial::FAILED) {
    return NotInState(command.name, v1::Trial::State_Name(found.trial->state),
                      "only a FAILED trial can be retried.");
  }
  if (study.state() != v1::Study::RUNNING) {
    return NotInState(StudyName{study.number()}.ToString(),
                      v1::Study::State_Name(study.state()),
                      "trials can be retried while it is RUNNING.");
  }
  Outcome outcome = Unchanged(command.name);
  outcome.events.emplace_back().mutable_retries_renewed()->set_run(
      command.name);
  internal::v1::TrialStateChanged& changed =
      *outcome.events.emplace_back().mutable_trial_state_changed();
  changed.set_study(study.number());
  changed.set_trial(found.trial->number());
  changed.set_state(v1::Trial::WAITING);
  return outcome;
}

}  // namespace headstart::scheduler
