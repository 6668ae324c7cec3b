#include "client/cli/study_progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/views.h"

namespace headstart::client {
namespace {

// "RUNNING: waits for a worker with fashion_mnist".
std::string StateText(const v1::Study& study) {
  std::string text = v1::Study::State_Name(study.state());
  if (!study.state_message().empty()) {
    absl::StrAppend(&text, ": ", study.state_message());
  }
  return text;
}

// {"studies/1/trials/4", "validation accuracy 97.20 % at epoch 9"}.
std::vector<std::string> BestParts(const v1::Study& study) {
  if (study.best_trial().empty()) return {"none yet"};
  const v1::Objective::Metric metric = study.objective().metric();
  return {study.best_trial(),
          absl::StrCat(
              MetricName(metric), " ",
              ObjectiveText(metric, study.has_best_objective()
                                        ? std::optional(study.best_objective())
                                        : std::nullopt),
              " at epoch ", study.best_epoch())};
}

// How many epochs an entry of `then` will train, as far as it can be told.
int64_t EpochsOfThen(const v1::Study& study, const v1::Training& then) {
  const auto each = [&](const auto& wanted) {
    if (wanted.epochs() > 0) return wanted.epochs();
    return wanted.training().epochs() > 0 ? wanted.training().epochs()
                                          : study.training().epochs();
  };
  if (!then.has_comparison()) return each(then) * then.seeds_size();
  const v1::Comparison& comparison = then.comparison();
  int64_t epochs = 0;
  for (const v1::ComparisonArm& arm : comparison.arms()) {
    epochs += std::max(arm.epochs_size(), 1) * (arm.training().epochs() > 0
                                                    ? arm.training().epochs()
                                                    : each(comparison));
  }
  return epochs * comparison.seeds_size();
}

std::string Joined(const std::vector<std::string>& parts) {
  return absl::StrJoin(parts, ", ");
}

}  // namespace

void StudyProgress::Update(const v1::WatchStudyResponse& update) {
  ReadPlan(update.study());
  for (const std::string& name : update.study().trainings()) {
    trainings_.Read(name);
  }
  pace_.Note(EpochsDone(update.study()));
  if (printer_.is_live()) {
    stored_.Read(update.study().name(),
                 /*now=*/update.study().state() != v1::Study::RUNNING);
    printer_.Redraw(DrawnLines(update));
  } else {
    SayChanges(update);
  }
}

void StudyProgress::ReadPlan(const v1::Study& study) {
  if (has_asked_for_plan_) return;
  has_asked_for_plan_ = true;
  // What a person wrote, without what the scheduler added.
  v1::CreateStudyRequest request;
  request.set_validate_only(true);
  v1::Study& input = *request.mutable_study();
  input.set_display_name(study.display_name());
  *input.mutable_training() = study.training();
  *input.mutable_search() = study.search();
  *input.mutable_objective() = study.objective();
  *input.mutable_retention() = study.retention();
  input.set_seed(study.seed());
  *input.mutable_failure_policy() = study.failure_policy();
  *input.mutable_then() = study.then();
  auto response = client_.CreateStudy(std::move(request));
  if (response.ok()) plan_ = response->plan();
}

int64_t StudyProgress::EpochsDone(const v1::Study& study) const {
  return study.recorded_epochs() + trainings_.EpochsDone();
}

int64_t StudyProgress::EpochsInAll(const v1::Study& study) const {
  // Once the search is over it is known what it took.
  int64_t epochs = study.state() == v1::Study::RUNNING && plan_
                       ? std::max(plan_->epochs(), study.recorded_epochs())
                       : study.recorded_epochs();
  if (trainings_.all().empty()) {
    if (study.state() != v1::Study::RUNNING) return epochs;
    for (const v1::Training& then : study.then()) {
      epochs += EpochsOfThen(study, then);
    }
  }
  return epochs + trainings_.EpochsInAll();
}

std::vector<std::string> StudyProgress::TrialsParts(
    const v1::Study& study) const {
  const v1::TrialCounts& counts = study.trial_counts();
  const auto named =
      [](const std::vector<std::pair<int64_t, std::string>>& states) {
        std::vector<std::string> parts;
        for (const auto& [count, state] : states) {
          if (count > 0) parts.push_back(absl::StrCat(count, " ", state));
        }
        return parts;
      };
  const std::vector<std::string> over =
      named({{counts.succeeded(), "succeeded"},
             {counts.stopped(), "stopped"},
             {counts.infeasible(), "infeasible"},
             {counts.failed(), "failed"},
             {counts.cancelled(), "cancelled"}});
  const std::vector<std::string> others =
      named({{counts.training(), "training"},
             {counts.paused(), "paused"},
             {counts.waiting(), "waiting"}});
  const int64_t done = counts.succeeded() + counts.stopped() +
                       counts.infeasible() + counts.failed() +
                       counts.cancelled();
  std::vector<std::string> parts = {absl::StrCat(
      done, plan_ ? absl::StrCat(" of ", plan_->trial_count()) : "", " done",
      over.empty() ? "" : absl::StrCat(" (", Joined(over), ")"))};
  parts.insert(parts.end(), others.begin(), others.end());
  return parts;
}

std::vector<std::string> StudyProgress::EpochsParts(
    const v1::Study& study) const {
  return pace_.Parts(EpochsDone(study), EpochsInAll(study), /*about=*/true);
}

std::vector<std::string> StudyProgress::DrawnLines(
    const v1::WatchStudyResponse& update) const {
  const v1::Study& study = update.study();
  std::vector<std::string> lines = {
      absl::StrCat(study.name(), "  ", study.display_name(),
                   study.display_name().empty() ? "" : "  ",
                   v1::Study::State_Name(study.state()))};
  const auto add = WrappedInto(lines, printer_.columns());
  const std::string no_label(10, ' ');
  if (!study.state_message().empty()) {
    add(no_label, absl::StrSplit(study.state_message(), ' '), " ");
  }
  add("  trials  ", TrialsParts(study), ", ");
  add("  epochs  ", EpochsParts(study), ", ");
  add("  best    ", BestParts(study), ", ");
  if (!update.best_trials().empty()) {
    add(no_label, ShortValues(update.best_trials(0)), "  ");
  }
  if (stored_.Text()) add("  stored  ", {*stored_.Text()}, "");
  for (const auto& [name, training] : trainings_.all()) {
    add(absl::StrCat(name, "  "), {v1::Training::State_Name(training.state())},
        "");
    if (!training.state_message().empty()) {
      add(no_label, absl::StrSplit(training.state_message(), ' '), " ");
    }
    add("  runs    ", RunsParts(training), ", ");
  }
  return lines;
}

void StudyProgress::SayChanges(const v1::WatchStudyResponse& update) {
  const v1::Study& study = update.study();
  if (const std::string state = StateText(study); state != said_state_) {
    said_state_ = state;
    printer_.Progress(absl::StrCat(study.name(), ": ", state));
  }
  // A leading trial that trains on and gets no better is no news.
  const double sign =
      study.objective().goal() == v1::Objective::MINIMIZE ? -1 : 1;
  const double merit = sign * study.best_objective();
  if (!study.best_trial().empty() &&
      (study.best_trial() != said_best_trial_ || merit > said_best_merit_)) {
    said_best_trial_ = study.best_trial();
    said_best_merit_ = merit;
    printer_.Progress(
        absl::StrCat(study.name(), ": best so far ", Joined(BestParts(study))));
  }
  const int64_t in_all = EpochsInAll(study);
  const int64_t tenths = in_all > 0 ? 10 * EpochsDone(study) / in_all : 0;
  if (study.state() == v1::Study::RUNNING && tenths > said_tenths_) {
    said_tenths_ = tenths;
    printer_.Progress(absl::StrCat(study.name(), ": trials ",
                                   Joined(TrialsParts(study)), "; epochs ",
                                   Joined(EpochsParts(study))));
  }
  trainings_.SayChanges(printer_);
}

}  // namespace headstart::client
