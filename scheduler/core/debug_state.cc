// The whole state as text: equal states give equal bytes.
#include "absl/strings/str_cat.h"

#include "scheduler/core/scheduler.h"
#include "scheduler/core/view.h"

namespace headstart::scheduler {
namespace {

void Add(std::string& text, absl::string_view what,
         const google::protobuf::Message& message) {
  absl::StrAppend(&text, what, " ", message.ShortDebugString(), "\n");
}

void AddRun(std::string& text, const Run& run) {
  absl::StrAppend(&text, "run until=", run.until_epoch, " live=", run.live,
                  " token=", run.token, " effective=", run.effective_known,
                  " failures=", run.failures, " losses=", run.losses, "\n");
}

void AddStudy(std::string& text, const State& state, const Study& study) {
  Add(text, "study", ViewStudy(state, study));
  for (int64_t number = 1; number <= study.trial_count(); ++number) {
    const Trial& trial = study.trial(number);
    Add(text, "trial", ViewTrial(study, trial, Detail::kFull));
    AddRun(text, trial.run);
    for (const v1::TrialDecision& decision : trial.decisions) {
      Add(text, "decision", decision);
    }
    absl::StrAppend(&text, "promotable=", study.search().IsPromotable(number),
                    "\n");
  }
  if (const auto next = study.search().Next(); next.has_value()) {
    Add(text, absl::StrCat("next ", next->trial), next->record);
  }
  if (const auto stop = study.search().Stop(); stop.has_value()) {
    Add(text, absl::StrCat("stop ", stop->trial), stop->record);
  }
  for (const Standing& standing : study.standings()) {
    absl::StrAppend(&text, "standing ", standing.rungs_missed, " ",
                    standing.rank.non_finite, " ", standing.rank.trial, "\n");
  }
}

}  // namespace

std::string Scheduler::DebugState() const {
  std::string text =
      absl::StrCat("events ", state_->event_count, " next ", state_->next_study,
                   " ", state_->next_training, " ", state_->next_comparison,
                   " ", state_->next_token, "\n");
  for (const auto& [number, study] : state_->studies) {
    AddStudy(text, *state_, *study);
  }
  for (const auto& [number, training] : state_->trainings) {
    Add(text, "training", ViewTraining(*state_, *training, Detail::kFull));
    for (const TrainingRun& run : training->runs()) AddRun(text, run.run);
  }
  for (const auto& [number, comparison] : state_->comparisons) {
    Add(text, "comparison", ViewComparison(*state_, comparison));
  }
  for (const auto& [name, worker] : state_->fleet.workers()) {
    absl::StrAppend(&text, "worker ", name, " ", worker.incarnation, " ",
                    worker.cordoned, worker.draining, worker.gone,
                    worker.leaving, " version=", worker.version, "\n");
    for (const v1::Slot& slot : worker.slots) Add(text, "slot", slot);
    for (const std::string& dataset : worker.datasets) {
      absl::StrAppend(&text, "dataset ", dataset, "\n");
    }
    for (const auto& plugin : worker.plugins) Add(text, "plugin", plugin);
    for (const auto& refused : worker.refused_plugins) {
      Add(text, "refused", refused);
    }
    for (const auto& [slot, run] : worker.busy) {
      absl::StrAppend(&text, "busy ", slot, " ", run.ToString(), "\n");
    }
  }
  for (const auto& [worker, slot] : state_->fleet.free_slots()) {
    absl::StrAppend(&text, "free ", worker, " ", slot, "\n");
  }
  for (const auto& answer : state_->requests.answers()) {
    Add(text, "answer", answer);
  }
  for (const auto& [owner, record] : state_->owners) {
    absl::StrAppend(&text, "owner ", owner.ToString(), " ", record.version, " ",
                    record.generation, " ", record.deleted,
                    " unsettled=", state_->unsettled.contains(owner),
                    " work=", state_->work.Contains(owner), "\n");
  }
  for (const auto& [generation, owner] : state_->generations) {
    absl::StrAppend(&text, "generation ", generation, " ", owner.ToString(),
                    "\n");
  }
  for (const auto& [owner, users] : state_->users) {
    for (const Owner& user : users) {
      absl::StrAppend(&text, "user ", owner.ToString(), " ", user.ToString(),
                      "\n");
    }
  }
  return text;
}

}  // namespace headstart::scheduler
