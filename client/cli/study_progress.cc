#include "client/cli/study_progress.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/units.h"
#include "client/cli/views.h"

namespace headstart::client {
namespace {

constexpr absl::Duration kRateWindow = absl::Seconds(30);
constexpr absl::Duration kStoredBytesAge = absl::Seconds(2);

// "RUNNING: waits for a worker with fashion_mnist".
std::string StateText(const v1::Study& study) {
  std::string text = v1::Study::State_Name(study.state());
  if (!study.state_message().empty()) {
    absl::StrAppend(&text, ": ", study.state_message());
  }
  return text;
}

std::string BestText(const v1::Study& study) {
  if (study.best_trial().empty()) return "none yet";
  const v1::Objective::Metric metric = study.objective().metric();
  return absl::StrCat(
      study.best_trial(), ", ", MetricName(metric), " ",
      ObjectiveText(metric, study.has_best_objective()
                                ? std::optional(study.best_objective())
                                : std::nullopt),
      " at epoch ", study.best_epoch());
}

// "trainings/1  RUNNING: seed 42 at epoch 3, seed 43 waiting".
std::string TrainingText(const v1::Training& training) {
  std::vector<std::string> parts;
  for (const v1::TrainingRun& run : training.runs()) {
    const std::string seed = absl::StrCat("seed ", run.seed());
    switch (run.state()) {
      case v1::TrainingRun::TRAINING:
        parts.push_back(absl::StrCat(seed, " at epoch ", run.epoch()));
        break;
      case v1::TrainingRun::WAITING:
        parts.push_back(absl::StrCat(seed, " waits"));
        break;
      case v1::TrainingRun::SUCCEEDED: {
        const v1::Measurement* const last = LastMeasurement(run);
        parts.push_back(
            absl::StrCat(seed, " done",
                         last != nullptr && last->has_test_accuracy()
                             ? absl::StrCat(" with test accuracy ",
                                            Percent(last->test_accuracy()))
                             : ""));
        break;
      }
      default:
        parts.push_back(
            absl::StrCat(seed, " ", v1::TrainingRun::State_Name(run.state())));
    }
  }
  std::string text = v1::Training::State_Name(training.state());
  if (!training.state_message().empty()) {
    absl::StrAppend(&text, " (", training.state_message(), ")");
  }
  return absl::StrCat(text, parts.empty() ? "" : ": ",
                      absl::StrJoin(parts, ", "));
}

}  // namespace

void StudyProgress::Update(const v1::WatchStudyResponse& update) {
  ReadPlan(update.study());
  ReadTrainings(update.study());
  NoteEpochs(EpochsDone(update.study()));
  if (printer_.is_live()) {
    ReadStoredBytes(update.study());
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

void StudyProgress::ReadTrainings(const v1::Study& study) {
  for (const std::string& name : study.trainings()) {
    const auto known = trainings_.find(name);
    if (known != trainings_.end() && IsOver(known->second)) continue;
    v1::GetTrainingRequest request;
    request.set_name(name);
    auto training = client_.GetTraining(request);
    if (training.ok()) trainings_[name] = *std::move(training);
  }
}

void StudyProgress::ReadStoredBytes(const v1::Study& study) {
  const absl::Duration now = clock_.Monotonic();
  if (now - stored_bytes_time_ < kStoredBytesAge) return;
  v1::GetUsageRequest request;
  request.set_parent(study.name());
  const auto usage = client_.GetUsage(request);
  if (usage.ok()) stored_bytes_ = usage->live_bytes();
  stored_bytes_time_ = now;
}

void StudyProgress::NoteEpochs(int64_t epochs) {
  const absl::Duration now = clock_.Monotonic();
  epochs_seen_.emplace_back(now, epochs);
  while (epochs_seen_.size() > 2 &&
         now - epochs_seen_.front().first > kRateWindow) {
    epochs_seen_.pop_front();
  }
}

std::optional<double> StudyProgress::EpochsPerSecond() const {
  if (epochs_seen_.empty()) return std::nullopt;
  const auto& [first_time, first_epochs] = epochs_seen_.front();
  const auto& [last_time, last_epochs] = epochs_seen_.back();
  const double seconds = absl::ToDoubleSeconds(last_time - first_time);
  if (seconds < 1 || last_epochs <= first_epochs) return std::nullopt;
  return static_cast<double>(last_epochs - first_epochs) / seconds;
}

int64_t StudyProgress::EpochsDone(const v1::Study& study) const {
  int64_t epochs = study.recorded_epochs();
  for (const auto& [name, training] : trainings_) {
    for (const v1::TrainingRun& run : training.runs()) epochs += run.epoch();
  }
  return epochs;
}

int64_t StudyProgress::EpochsInAll(const v1::Study& study) const {
  // Once the search is over it is known what it took.
  int64_t epochs = study.state() == v1::Study::RUNNING && plan_
                       ? std::max(plan_->epochs(), study.recorded_epochs())
                       : study.recorded_epochs();
  if (trainings_.empty()) {
    if (study.state() != v1::Study::RUNNING) return epochs;
    for (const v1::Training& training : study.then()) {
      const int64_t each = training.epochs() > 0 ? training.epochs()
                           : training.training().epochs() > 0
                               ? training.training().epochs()
                               : study.training().epochs();
      epochs += each * training.seeds_size();
    }
  }
  for (const auto& [name, training] : trainings_) {
    for (const v1::TrainingRun& run : training.runs()) {
      const bool goes_on = run.state() == v1::TrainingRun::WAITING ||
                           run.state() == v1::TrainingRun::TRAINING;
      epochs += goes_on ? training.resolved_training().epochs() : run.epoch();
    }
  }
  return epochs;
}

std::string StudyProgress::TrialsText(const v1::Study& study) const {
  const std::string counts = TrialCountsText(study.trial_counts());
  if (!plan_) return counts;
  const int64_t started = TrialsStarted(study.trial_counts());
  std::string text = absl::StrCat(started, " of ", plan_->trial_count());
  if (started > 0) absl::StrAppend(&text, counts.substr(counts.find(':')));
  return text;
}

std::string StudyProgress::EpochsText(const v1::Study& study) const {
  const int64_t done = EpochsDone(study);
  const int64_t in_all = EpochsInAll(study);
  std::string text = absl::StrCat(done);
  if (in_all > done) absl::StrAppend(&text, " of about ", in_all);
  if (const std::optional<double> rate = EpochsPerSecond()) {
    absl::StrAppend(&text, absl::StrFormat(", %.2g per second", *rate));
    if (in_all > done) {
      absl::StrAppend(&text, ", about ",
                      HumanDuration(absl::Seconds((in_all - done) / *rate)),
                      " left");
    }
  }
  return text;
}

std::vector<std::string> StudyProgress::DrawnLines(
    const v1::WatchStudyResponse& update) const {
  const v1::Study& study = update.study();
  std::vector<std::string> lines = {
      absl::StrCat(study.name(), "  ", study.display_name(),
                   study.display_name().empty() ? "" : "  ", StateText(study)),
      absl::StrCat("  trials  ", TrialsText(study)),
      absl::StrCat("  epochs  ", EpochsText(study)),
      absl::StrCat("  best    ", BestText(study))};
  if (!update.best_trials().empty()) {
    lines.push_back(
        absl::StrCat("          ", ValuesText(update.best_trials(0))));
  }
  if (stored_bytes_) {
    lines.push_back(
        absl::StrCat("  stored  ", HumanBytes(*stored_bytes_), " of weights"));
  }
  for (const auto& [name, training] : trainings_) {
    lines.push_back(absl::StrCat(name, "  ", TrainingText(training)));
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
        absl::StrCat(study.name(), ": best so far ", BestText(study)));
  }
  const int64_t in_all = EpochsInAll(study);
  const int64_t tenths = in_all > 0 ? 10 * EpochsDone(study) / in_all : 0;
  if (study.state() == v1::Study::RUNNING && tenths > said_tenths_) {
    said_tenths_ = tenths;
    printer_.Progress(absl::StrCat(study.name(), ": trials ", TrialsText(study),
                                   "; epochs ", EpochsText(study)));
  }
  for (const auto& [name, training] : trainings_) {
    // Not every epoch of every seed: a line when a run begins or ends.
    std::string notable = v1::Training::State_Name(training.state());
    for (const v1::TrainingRun& run : training.runs()) {
      absl::StrAppend(&notable, " ", v1::TrainingRun::State_Name(run.state()));
    }
    if (said_trainings_[name] == notable) continue;
    said_trainings_[name] = notable;
    printer_.Progress(absl::StrCat(name, ": ", TrainingText(training)));
  }
}

}  // namespace headstart::client
