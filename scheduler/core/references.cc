// Which checkpoints each owner wants kept, and why.
#include <optional>
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "base/names.h"
#include "base/status_macros.h"
#include "proto/phases.h"
#include "scheduler/core/scheduler.h"
#include "scheduler/core/sources.h"
#include "scheduler/core/state.h"

namespace headstart::scheduler {
namespace {

class ReferenceSet {
 public:
  explicit ReferenceSet(WantedReferences& wanted) : wanted_(wanted) {}

  void Add(std::string checkpoint, v1::ReferenceReason reason,
           std::string detail = "") {
    v1::Reference& reference = wanted_.references.emplace_back();
    reference.set_checkpoint(std::move(checkpoint));
    reference.set_owner(wanted_.owner);
    reference.set_reason(reason);
    reference.set_detail(std::move(detail));
  }

  // Every recorded epoch of a run.
  void AddAll(const Run& run, v1::ReferenceReason reason,
              const std::string& detail = "") {
    for (const v1::EpochRecord& epoch : run.epochs) {
      Add(epoch.checkpoint(), reason, detail);
    }
  }

  // What the run would go on from. With nothing after epoch 0 it starts again.
  void AddResume(const Run& run) {
    if (run.recorded_epoch() < 1) return;
    Add(run.epochs.back().checkpoint(), v1::RESUME);
    Add(absl::StrCat(run.epochs.back().checkpoint(), "/resume"), v1::RESUME);
  }

  void AddHorizon(const Run& run, bool ended) {
    v1::RunHorizon& horizon = wanted_.horizons.emplace_back();
    horizon.set_run(run.name.ToString());
    // Epoch 0 alone may be drawn and stored again by the next attempt.
    horizon.set_known_epoch(
        run.recorded_epoch() >= 1 || ended ? run.recorded_epoch() : -1);
    horizon.set_token(run.token);
    horizon.set_ended(ended);
  }

 private:
  WantedReferences& wanted_;
};

void AddStudy(const Study& study, ReferenceSet& set) {
  for (const CheckpointName& source : SourcesOf(study.spec())) {
    set.Add(source.ToString(), v1::SOURCE_OF);
  }
  int64_t place = 0;
  for (const Standing& standing : study.final_standings()) {
    if (++place > study.spec().retention().best_trials()) break;
    set.AddAll(study.trial(standing.rank.trial).run, v1::BEST_TRIAL,
               absl::StrCat("place ", place));
  }
  const bool rung_only =
      study.spec().retention().keep_paused() == v1::Retention::RUNG_ONLY;
  for (int64_t number = 1; number <= study.trial_count(); ++number) {
    const Trial& trial = study.trial(number);
    // A person may still retry it; it resumes from its last epoch.
    const bool retriable = trial.state == v1::Trial::FAILED && !study.over();
    set.AddHorizon(trial.run, trial.over() && !retriable);
    switch (trial.state) {
      case v1::Trial::WAITING:
      case v1::Trial::TRAINING:
        set.AddAll(trial.run, v1::RUNNING);
        set.AddResume(trial.run);
        break;
      case v1::Trial::PAUSED:
        if (rung_only) {
          set.Add(trial.run.epochs.back().checkpoint(), v1::PROMOTABLE);
        } else {
          set.AddAll(trial.run, v1::PROMOTABLE);
        }
        set.AddResume(trial.run);
        break;
      default:
        if (retriable) set.AddResume(trial.run);
        break;
    }
  }
}

void AddTraining(const Training& training, ReferenceSet& set) {
  for (const CheckpointName& source : SourcesOf(training.spec())) {
    set.Add(source.ToString(), v1::SOURCE_OF);
  }
  for (const TrainingRun& run : training.runs()) {
    const Run& trained = run.run;
    set.AddHorizon(trained, run.over());
    if (trained.epochs.empty()) continue;
    set.Add(trained.epochs.back().checkpoint(), v1::LATEST);
    if (const auto best = Training::BestEpoch(trained); best.has_value()) {
      set.Add(trained.epochs[*best].checkpoint(), v1::BEST);
    }
    const v1::TrainingSpec& spec = training.spec().resolved_training();
    const auto& named = training.spec().keep_epochs();
    for (const v1::EpochRecord& epoch : trained.epochs) {
      const std::optional<Phase> phase = PhaseOf(spec, epoch.epoch());
      if (phase.has_value() && phase->ends) {
        set.Add(epoch.checkpoint(), v1::KEPT,
                absl::StrCat("the end of ", phase->name));
      } else if (spec.has_pruning() &&
                 spec.pruning().reset() == v1::RESET_TO_START &&
                 epoch.epoch() == spec.pruning().rewind_epoch()) {
        // With a mask it is a lottery ticket.
        set.Add(epoch.checkpoint(), v1::KEPT, "what the levels begin from");
      } else if (absl::c_linear_search(named, epoch.epoch())) {
        set.Add(epoch.checkpoint(), v1::KEPT);
      }
    }
    if (!run.over()) set.AddResume(trained);
  }
}

}  // namespace

std::vector<std::pair<std::string, int64_t>> Scheduler::OwnersChangedSince(
    int64_t generation) const {
  std::vector<std::pair<std::string, int64_t>> owners;
  for (auto it = state_->generations.upper_bound(generation);
       it != state_->generations.end(); ++it) {
    owners.emplace_back(it->second.ToString(), it->first);
  }
  return owners;
}

absl::StatusOr<WantedReferences> Scheduler::GetWantedReferences(
    absl::string_view name) const {
  HS_ASSIGN_OR_RETURN(const Owner owner, Owner::Parse(name));
  const auto record = state_->owners.find(owner);
  if (record == state_->owners.end()) {
    return absl::NotFoundError(absl::StrCat("There never was ", name, "."));
  }
  WantedReferences wanted;
  wanted.owner = owner.ToString();
  wanted.generation = record->second.generation;
  wanted.deleted = record->second.deleted;
  if (wanted.deleted) return wanted;
  ReferenceSet set(wanted);
  if (owner.kind == Owner::Kind::kStudy) {
    AddStudy(*state_->FindStudy(owner.number), set);
  } else {
    AddTraining(*state_->FindTraining(owner.number), set);
  }
  return wanted;
}

}  // namespace headstart::scheduler
