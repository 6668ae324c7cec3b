// What people ask of trainings, and what storage says about their sources.
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "base/names.h"
#include "base/status_macros.h"
#include "scheduler/core/decide.h"
#include "scheduler/core/sources.h"

namespace headstart::scheduler {
namespace {

// A comparison begins, ends and goes as a whole.
absl::Status CheckIsNoArm(const Training& training, absl::string_view advice) {
  if (training.spec().arm_of().empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(TrainingName{training.number()}.ToString(), " is an arm of ",
                   training.spec().arm_of(), ". ", advice));
}

}  // namespace

absl::StatusOr<Outcome> Decide(const State& state,
                               const CreateTraining& command) {
  HS_ASSIGN_OR_RETURN(v1::Training training,
                      ResolveTraining(state, command.training, ""));
  Outcome outcome;
  outcome.name = TrainingName{state.next_training}.ToString();
  internal::v1::TrainingCreated& created =
      *outcome.events.emplace_back().mutable_training_created();
  created.set_training(state.next_training);
  *created.mutable_spec() = std::move(training);
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state,
                               const CancelTraining& command) {
  HS_ASSIGN_OR_RETURN(const Training* training,
                      state.GetTraining(command.name));
  Outcome outcome;
  outcome.name = command.name;
  if (!training->over()) {
    HS_RETURN_IF_ERROR(
        CheckIsNoArm(*training, "Cancel that, and its arms end with it."));
    outcome.events = training->End(v1::Training::CANCELLED, "");
  }
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state,
                               const DeleteTraining& command) {
  HS_ASSIGN_OR_RETURN(const Training* training,
                      state.GetTraining(command.name));
  if (!training->over()) {
    return absl::FailedPreconditionError(absl::StrCat(
        command.name, " is ", v1::Training::State_Name(training->state()),
        "; cancel it before deleting it."));
  }
  HS_RETURN_IF_ERROR(
      CheckIsNoArm(*training, "Delete that, and its arms go with it."));
  const auto users = state.users.find(Owner::Training(training->number()));
  if (users != state.users.end()) {
    return absl::FailedPreconditionError(absl::StrCat(
        command.name, ": ", users->second.begin()->ToString(),
        " starts from one of its checkpoints. Delete that first."));
  }
  Outcome outcome;
  outcome.name = command.name;
  outcome.events.emplace_back().mutable_training_deleted()->set_training(
      training->number());
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state,
                               const SourceConfirmed& command) {
  HS_ASSIGN_OR_RETURN(const Training* training,
                      state.GetTraining(command.training));
  Outcome outcome;
  outcome.name = command.training;
  if (training->state() != v1::Training::PREPARING) return outcome;
  internal::v1::TrainingStateChanged& changed =
      *outcome.events.emplace_back().mutable_training_state_changed();
  changed.set_training(training->number());
  changed.set_state(v1::Training::RUNNING);
  return outcome;
}

absl::StatusOr<Outcome> Decide(const State& state,
                               const SourceMissing& command) {
  HS_ASSIGN_OR_RETURN(const Training* training,
                      state.GetTraining(command.training));
  Outcome outcome;
  outcome.name = command.training;
  if (training->state() == v1::Training::PREPARING) {
    outcome.events = training->End(v1::Training::FAILED, command.message);
  }
  return outcome;
}

}  // namespace headstart::scheduler
