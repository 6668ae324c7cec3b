#include "scheduler/core/state.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/status_macros.h"
#include "scheduler/core/sources.h"

namespace headstart::scheduler {
namespace {

// Which owner an event is about; none for workers and requests.
std::optional<Owner> OwnerOf(const Event& event) {
  const auto of_run = [](const std::string& name) {
    const absl::StatusOr<RunName> run = RunName::Parse(name);
    HS_CHECK_OK(run.status());
    return Owner::Of(*run);
  };
  switch (event.kind_case()) {
    case Event::kStudyCreated:
      return Owner::Study(event.study_created().study());
    case Event::kStudyStateChanged:
      return Owner::Study(event.study_state_changed().study());
    case Event::kStudyDeleted:
      return Owner::Study(event.study_deleted().study());
    case Event::kTrialCreated:
      return Owner::Study(event.trial_created().study());
    case Event::kTrialPromoted:
      return Owner::Study(event.trial_promoted().study());
    case Event::kTrialStateChanged:
      return Owner::Study(event.trial_state_changed().study());
    case Event::kTrainingCreated:
      return Owner::Training(event.training_created().training());
    case Event::kTrainingStateChanged:
      return Owner::Training(event.training_state_changed().training());
    case Event::kTrainingRunStateChanged:
      return Owner::Training(event.training_run_state_changed().training());
    case Event::kTrainingDeleted:
      return Owner::Training(event.training_deleted().training());
    case Event::kComparisonCreated:
    case Event::kComparisonDeleted:
      return std::nullopt;  // Its trainings have said it.
    case Event::kAttemptLeased:
      return of_run(event.attempt_leased().run());
    case Event::kAttemptStarted:
      return of_run(event.attempt_started().run());
    case Event::kAttemptEnded:
      return of_run(event.attempt_ended().run());
    case Event::kEpochRecorded:
      return of_run(event.epoch_recorded().run());
    case Event::kRetriesRenewed:
      return of_run(event.retries_renewed().run());
    case Event::kWorkerSeen:
    case Event::kWorkerStateChanged:
    case Event::kRequestAnswered:
    case Event::KIND_NOT_SET:
      break;
  }
  return std::nullopt;
}

template <typename Owners>
auto& At(Owners& owners, int64_t number) {
  const auto found = owners.find(number);
  HS_CHECK(found != owners.end()) << "no study or training " << number;
  return *found->second;
}

// Hands an event about a run to whoever owns the run.
template <typename RunEvent>
void ApplyToRun(State& state, const RunEvent& event, const Timestamp& time) {
  const RunName run = *RunName::Parse(event.run());
  if (run.kind == RunKind::kTrial) {
    At(state.studies, run.parent).Apply(run.number, event, time);
  } else {
    At(state.trainings, run.parent).Apply(run.number, event, time);
  }
}

// Brings the indexes over owners up to date after an event about `owner`.
void Refresh(State& state, const Owner& owner, bool references_changed) {
  OwnerRecord& record = state.owners[owner];
  record.version = state.event_count;
  if (references_changed) {
    state.generations.erase(record.generation);
    record.generation = state.event_count;
    state.generations[record.generation] = owner;
  }

  const auto refresh = [&](const auto& study_or_training) {
    if (study_or_training.IsSettled()) {
      state.unsettled.erase(owner);
    } else {
      state.unsettled.insert(owner);
    }
    if (study_or_training.HasWork()) {
      state.work.Set(owner, study_or_training.needs(),
                     static_cast<int64_t>(study_or_training.live().size()));
    } else {
      state.work.Remove(owner);
    }
  };
  if (owner.kind == Owner::Kind::kStudy) {
    if (const Study* study = state.FindStudy(owner.number)) {
      return refresh(*study);
    }
  } else if (const Training* training = state.FindTraining(owner.number)) {
    return refresh(*training);
  }
  record.deleted = true;
  state.unsettled.erase(owner);
  state.work.Remove(owner);
}

void AddUser(State& state, const std::vector<CheckpointName>& sources,
             const Owner& user) {
  for (const CheckpointName& source : sources) {
    if (source.run.kind == RunKind::kImport) continue;  // Nobody's here.
    const Owner owner = Owner::Of(source.run);
    if (owner != user) state.users[owner].insert(user);
  }
}

void RemoveUser(State& state, const std::vector<CheckpointName>& sources,
                const Owner& user) {
  for (const CheckpointName& source : sources) {
    if (source.run.kind == RunKind::kImport) continue;
    const auto users = state.users.find(Owner::Of(source.run));
    if (users == state.users.end()) continue;
    users->second.erase(user);
    if (users->second.empty()) state.users.erase(users);
  }
}

// A worker hears of a pause or a resumption of what it trains.
void TouchWorkersOf(State& state, const Study& study) {
  for (const int64_t trial : study.live()) {
    state.fleet.Touch(study.trial(trial).run.attempts.back().worker(),
                      state.event_count);
  }
}

absl::Status NoSuch(absl::string_view name) {
  return absl::NotFoundError(absl::StrCat("There is no ", name, "."));
}

}  // namespace

void ApplyEvent(State& state, const Event& event) {
  HS_CHECK_EQ(event.format_version(), 1);
  const int64_t version = ++state.event_count;
  const Timestamp& time = event.time();
  bool references_changed = true;
  switch (event.kind_case()) {
    case Event::kStudyCreated: {
      const internal::v1::StudyCreated& created = event.study_created();
      state.next_study = created.study() + 1;
      state.studies[created.study()] = std::make_unique<Study>(created, time);
      AddUser(state, SourcesOf(created.spec()), Owner::Study(created.study()));
      break;
    }
    case Event::kStudyStateChanged: {
      Study& study = At(state.studies, event.study_state_changed().study());
      study.Apply(event.study_state_changed(), time);
      TouchWorkersOf(state, study);
      break;
    }
    case Event::kStudyDeleted: {
      const int64_t number = event.study_deleted().study();
      RemoveUser(state, SourcesOf(At(state.studies, number).spec()),
                 Owner::Study(number));
      state.studies.erase(number);
      break;
    }
    case Event::kTrialCreated:
      At(state.studies, event.trial_created().study())
          .Apply(event.trial_created(), time);
      break;
    case Event::kTrialPromoted:
      At(state.studies, event.trial_promoted().study())
          .Apply(event.trial_promoted());
      break;
    case Event::kTrialStateChanged:
      At(state.studies, event.trial_state_changed().study())
          .Apply(event.trial_state_changed(), time);
      break;
    case Event::kTrainingCreated: {
      const internal::v1::TrainingCreated& created = event.training_created();
      state.next_training = created.training() + 1;
      state.trainings[created.training()] =
          std::make_unique<Training>(created, time);
      AddUser(state, SourcesOf(created.spec()),
              Owner::Training(created.training()));
      const absl::StatusOr<StudyName> study =
          StudyName::Parse(created.spec().study());
      if (study.ok() && state.FindStudy(study->study) != nullptr) {
        At(state.studies, study->study)
            .AddTraining(created.training(), !created.spec().arm_of().empty());
        Refresh(state, Owner::Study(study->study), false);
      }
      break;
    }
    case Event::kTrainingStateChanged:
      At(state.trainings, event.training_state_changed().training())
          .Apply(event.training_state_changed(), time);
      break;
    case Event::kTrainingRunStateChanged:
      At(state.trainings, event.training_run_state_changed().training())
          .Apply(event.training_run_state_changed());
      break;
    case Event::kTrainingDeleted: {
      const int64_t number = event.training_deleted().training();
      RemoveUser(state, SourcesOf(At(state.trainings, number).spec()),
                 Owner::Training(number));
      state.trainings.erase(number);
      break;
    }
    case Event::kComparisonCreated: {
      const internal::v1::ComparisonCreated& created =
          event.comparison_created();
      state.next_comparison = created.comparison() + 1;
      state.comparisons.emplace(created.comparison(),
                                Comparison(created, time));
      const absl::StatusOr<StudyName> study =
          StudyName::Parse(created.spec().study());
      if (created.spec().started_by_study() && study.ok() &&
          state.FindStudy(study->study) != nullptr) {
        At(state.studies, study->study).AddComparison(created.comparison());
        Refresh(state, Owner::Study(study->study), false);
      }
      break;
    }
    case Event::kComparisonDeleted:
      state.comparisons.erase(event.comparison_deleted().comparison());
      break;
    case Event::kAttemptLeased: {
      const internal::v1::AttemptLeased& leased = event.attempt_leased();
      state.next_token = leased.token() + 1;
      ApplyToRun(state, leased, time);
      state.fleet.Occupy(leased.worker(), leased.slot(),
                         *RunName::Parse(leased.run()), version);
      break;
    }
    case Event::kAttemptStarted:
      ApplyToRun(state, event.attempt_started(), time);
      references_changed = false;
      break;
    case Event::kAttemptEnded: {
      ApplyToRun(state, event.attempt_ended(), time);
      const v1::Attempt& attempt =
          state.FindRun(*RunName::Parse(event.attempt_ended().run()))
              ->attempts.back();
      state.fleet.Vacate(attempt.worker(), attempt.slot(), version);
      break;
    }
    case Event::kEpochRecorded:
      ApplyToRun(state, event.epoch_recorded(), time);
      break;
    case Event::kRetriesRenewed: {
      const internal::v1::RetriesRenewed& renewed = event.retries_renewed();
      const RunName trial = *RunName::Parse(renewed.run());
      At(state.studies, trial.parent).Apply(trial.number, renewed, time);
      references_changed = false;
      break;
    }
    case Event::kWorkerSeen:
      state.fleet.Apply(event.worker_seen(), version);
      break;
    case Event::kWorkerStateChanged:
      state.fleet.Apply(event.worker_state_changed(), version);
      break;
    case Event::kRequestAnswered:
      state.requests.Apply(event.request_answered());
      break;
    case Event::KIND_NOT_SET:
      HS_CHECK(false) << "an event of a kind that this version does not know";
  }
  if (const std::optional<Owner> owner = OwnerOf(event); owner.has_value()) {
    Refresh(state, *owner, references_changed);
  }
}

const Study* State::FindStudy(int64_t number) const {
  const auto found = studies.find(number);
  return found == studies.end() ? nullptr : found->second.get();
}

const Training* State::FindTraining(int64_t number) const {
  const auto found = trainings.find(number);
  return found == trainings.end() ? nullptr : found->second.get();
}

const Run* State::FindRun(const RunName& name) const {
  if (name.kind == RunKind::kTrial) {
    const Study* study = FindStudy(name.parent);
    return study != nullptr && study->HasTrial(name.number)
               ? &study->trial(name.number).run
               : nullptr;
  }
  if (name.kind == RunKind::kImport) return nullptr;
  const Training* training = FindTraining(name.parent);
  return training != nullptr && training->HasRun(name.number)
             ? &training->run(name.number).run
             : nullptr;
}

absl::StatusOr<const Study*> State::GetStudy(absl::string_view name) const {
  HS_ASSIGN_OR_RETURN(const StudyName parsed, StudyName::Parse(name));
  const Study* study = FindStudy(parsed.study);
  if (study == nullptr) return NoSuch(name);
  return study;
}

absl::StatusOr<const Training*> State::GetTraining(
    absl::string_view name) const {
  HS_ASSIGN_OR_RETURN(const TrainingName parsed, TrainingName::Parse(name));
  const Training* training = FindTraining(parsed.training);
  if (training == nullptr) return NoSuch(name);
  return training;
}

absl::StatusOr<const Comparison*> State::GetComparison(
    absl::string_view name) const {
  HS_ASSIGN_OR_RETURN(const ComparisonName parsed, ComparisonName::Parse(name));
  const auto found = comparisons.find(parsed.comparison);
  if (found == comparisons.end()) return NoSuch(name);
  return &found->second;
}

absl::StatusOr<State::TrialOfStudy> State::GetTrial(
    absl::string_view name) const {
  if (const auto winner = WinnerName::Parse(name);
      winner.ok() && !winner->epoch.has_value()) {
    const Study* study = FindStudy(winner->study);
    if (study == nullptr) return NoSuch(name);
    if (study->winner() == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(name, ": there is no winner yet; the study is ",
                       v1::Study::State_Name(study->state()), "."));
    }
    return TrialOfStudy{study, &study->trial(study->winner())};
  }
  HS_ASSIGN_OR_RETURN(const RunName parsed, RunName::Parse(name));
  if (parsed.kind != RunKind::kTrial) {
    return absl::InvalidArgumentError(absl::StrCat(
        "name: \"", name, "\" is not a trial's, such as studies/1/trials/12."));
  }
  const Study* study = FindStudy(parsed.parent);
  if (study == nullptr || !study->HasTrial(parsed.number)) return NoSuch(name);
  return TrialOfStudy{study, &study->trial(parsed.number)};
}

bool State::IsReleasing(const Run& run) const {
  if (!run.live) return false;
  if (run.name.kind == RunKind::kTrial &&
      FindStudy(run.name.parent)->state() == v1::Study::PAUSED) {
    return true;
  }
  return fleet.Find(run.attempts.back().worker())->releasing();
}

}  // namespace headstart::scheduler
