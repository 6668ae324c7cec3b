// What follows from the state by itself: one step at a time.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/names.h"
#include "scheduler/core/comparison.h"
#include "scheduler/core/decide.h"
#include "scheduler/core/sources.h"

namespace headstart::scheduler {
namespace {

// Entry `index` of the `then` of a study that has its winner, as a training.
std::vector<Event> StartTraining(const State& state, const Study& study,
                                 int index) {
  v1::Training wanted = study.spec().then(index);
  const std::string name = StudyName{study.number()}.ToString();
  if (wanted.from().has_winner()) {
    wanted.mutable_from()->mutable_winner()->set_study(name);
  }
  const absl::StatusOr<v1::Training> resolved =
      ResolveTraining(state, wanted, absl::StrCat("then[", index, "]"),
                      /*recorded=*/&study.spec().then(index).training());
  std::vector<Event> events;
  internal::v1::TrainingCreated& created =
      *events.emplace_back().mutable_training_created();
  created.set_training(state.next_training);
  v1::Training& spec = *created.mutable_spec();
  spec = resolved.ok() ? *resolved : wanted;
  spec.set_study(name);
  if (!resolved.ok()) {
    HS_REACHED("then_training_without_source");
    spec.set_state(v1::Training::FAILED);
    spec.set_state_message(std::string(resolved.status().message()));
  }
  return events;
}

// The same of an entry that is a comparison.
std::vector<Event> StartComparison(const State& state, const Study& study,
                                   int index) {
  v1::Comparison wanted = study.spec().then(index).comparison();
  wanted.set_study(StudyName{study.number()}.ToString());
  wanted.set_started_by_study(true);
  absl::StatusOr<ResolvedComparison> resolved = ResolveComparison(
      state, wanted, absl::StrCat("then[", index, "].comparison"),
      /*recorded=*/true);
  if (!resolved.ok()) {
    HS_REACHED("then_comparison_without_source");
    wanted.set_state(v1::Comparison::FAILED);
    wanted.set_state_message(std::string(resolved.status().message()));
    resolved = ResolvedComparison{.spec = wanted, .trainings = {}};
  }
  return CreationOf(state, *std::move(resolved));
}

// Gives one free slot something to train; empty when none can.
std::vector<Event> AssignWork(const State& state) {
  if (state.work.empty()) return {};
  for (const auto& [worker, slot] : state.fleet.free_slots()) {
    const std::optional<Owner> owner =
        state.work.Next(state.fleet.Find(worker)->offers);
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
  if (owner.kind == Owner::Kind::kTraining) {
    outcome.events = state.FindTraining(owner.number)->Settle();
  } else {
    const Study& study = *state.FindStudy(owner.number);
    const std::optional<int> then = study.NextThen();
    if (!then.has_value()) {
      outcome.events = study.Settle();
    } else if (study.spec().then(*then).has_comparison()) {
      outcome.events = StartComparison(state, study, *then);
    } else {
      outcome.events = StartTraining(state, study, *then);
    }
  }
  HS_CHECK(!outcome.events.empty()) << owner.ToString();
  return outcome;
}

}  // namespace headstart::scheduler
