// What follows from the state by itself: one step at a time.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/names.h"
#include "scheduler/core/decide.h"
#include "scheduler/core/sources.h"

namespace headstart::scheduler {
namespace {

// The trainings of `then`, now that the study has a winner. The study's own
// state does not show it yet, so names are resolved here.
void StartTrainings(const State& state, const Study& study, int64_t winner,
                    std::vector<Event>& events) {
  const RunName run = RunName::Trial(study.number(), winner);
  int64_t number = state.next_training;
  for (int i = 0; i < study.spec().then_size(); ++i) {
    v1::Training wanted = study.spec().then(i);
    if (wanted.from().has_winner()) {
      const int64_t epoch = wanted.from().winner().epoch();
      wanted.mutable_from()->set_checkpoint(CheckpointText(run, epoch));
    }
    const absl::StatusOr<v1::Training> resolved =
        ResolveTraining(state, wanted, absl::StrCat("then[", i, "]"));
    internal::v1::TrainingCreated& created =
        *events.emplace_back().mutable_training_created();
    created.set_training(number);
    v1::Training& spec = *created.mutable_spec();
    spec = resolved.ok() ? *resolved : wanted;
    if (study.spec().then(i).has_from()) {
      *spec.mutable_from() = study.spec().then(i).from();
    }
    spec.set_study(StudyName{study.number()}.ToString());
    if (!resolved.ok()) {
      HS_REACHED("then_training_without_source");
      spec.set_state(v1::Training::PREPARING);
      internal::v1::TrainingStateChanged& changed =
          *events.emplace_back().mutable_training_state_changed();
      changed.set_training(number);
      changed.set_state(v1::Training::FAILED);
      changed.set_message(std::string(resolved.status().message()));
    }
    ++number;
  }
}

std::vector<Event> SettleStudy(const State& state, const Study& study) {
  std::vector<Event> events = study.Settle();
  HS_CHECK(!events.empty()) << StudyName{study.number()}.ToString();
  if (events.back().study_state_changed().state() == v1::Study::SUCCEEDED) {
    const int64_t winner = events.back().study_state_changed().winner();
    StartTrainings(state, study, winner, events);
  }
  return events;
}

// Gives one free slot something to train; empty when none can.
std::vector<Event> AssignWork(const State& state) {
  if (state.work.empty()) return {};
  for (const auto& [worker, slot] : state.fleet.free_slots()) {
    const std::optional<Owner> owner =
        state.work.Next(state.fleet.Find(worker)->datasets);
    if (!owner.has_value()) continue;

    Study::Work work;
    if (owner->kind == Owner::Kind::kStudy) {
      work = state.FindStudy(owner->number)->NextWork();
      if (!work.run.has_value()) return work.events;
    } else {
      const Run& run = state.FindTraining(owner->number)->NextWork();
      work.run = run.name;
      work.attempt = static_cast<int64_t>(run.attempts.size()) + 1;
      work.from_epoch = run.from_epoch();
      work.until_epoch = run.until_epoch;
    }
    internal::v1::AttemptLeased& leased =
        *work.events.emplace_back().mutable_attempt_leased();
    leased.set_run(work.run->ToString());
    leased.set_attempt(work.attempt);
    leased.set_token(state.next_token);
    leased.set_worker(worker);
    leased.set_slot(slot);
    leased.set_from_epoch(work.from_epoch);
    leased.set_until_epoch(work.until_epoch);
    return work.events;
  }
  return {};
}

}  // namespace

absl::StatusOr<Outcome> Decide(const State& state, const Advance&) {
  Outcome outcome;
  if (state.unsettled.empty()) {
    outcome.events = AssignWork(state);
    return outcome;
  }
  const Owner owner = *state.unsettled.begin();
  outcome.events =
      owner.kind == Owner::Kind::kStudy
          ? SettleStudy(state, *state.FindStudy(owner.number))
          : state.FindTraining(owner.number)->Settle();
  return outcome;
}

}  // namespace headstart::scheduler
