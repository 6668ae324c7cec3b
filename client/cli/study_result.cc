#include "client/cli/study_result.h"

#include <unistd.h>

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/cli/comparison_result.h"
#include "client/cli/download.h"
#include "client/cli/units.h"
#include "client/cli/views.h"

namespace headstart::client {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

// The measured value that the objective names, larger is better.
std::optional<double> Merit(const v1::Objective& objective,
                            const v1::Measurement& m) {
  std::optional<double> value;
  switch (objective.metric()) {
    case v1::Objective::VALIDATION_ACCURACY:
      if (m.has_validation_accuracy()) value = m.validation_accuracy();
      break;
    case v1::Objective::VALIDATION_LOSS:
      if (m.has_validation_loss()) value = m.validation_loss();
      break;
    case v1::Objective::TRAINING_LOSS:
      if (m.has_training_loss()) value = m.training_loss();
      break;
    default:
      break;
  }
  if (value && objective.goal() == v1::Objective::MINIMIZE) value = -*value;
  return value;
}

std::string MeasuredText(const v1::Measurement* m) {
  if (m == nullptr) return "nothing measured";
  std::vector<std::string> parts;
  if (m->has_validation_accuracy()) {
    parts.push_back(absl::StrCat("validation accuracy ",
                                 Percent(m->validation_accuracy())));
  }
  if (m->has_test_accuracy()) {
    parts.push_back(
        absl::StrCat("test accuracy ", Percent(m->test_accuracy())));
  }
  return parts.empty() ? "nothing measured" : absl::StrJoin(parts, ", ");
}

std::string RunText(const v1::TrainingRun& run) {
  if (run.state() != v1::TrainingRun::SUCCEEDED) {
    return absl::StrCat(v1::TrainingRun::State_Name(run.state()),
                        run.failure().message().empty() ? "" : ": ",
                        run.failure().message());
  }
  return absl::StrCat(MeasuredText(LastMeasurement(run)), " at epoch ",
                      run.epoch());
}

// The checkpoint a person wants to have.
std::string ResultCheckpoint(const v1::Study& study, const v1::Trial& winner,
                             const std::vector<v1::Training>& trainings) {
  const v1::TrainingRun* best = nullptr;
  std::optional<double> best_merit;
  for (const v1::Training& training : trainings) {
    for (const v1::TrainingRun& run : training.runs()) {
      const v1::Measurement* const last = LastMeasurement(run);
      if (run.state() != v1::TrainingRun::SUCCEEDED || last == nullptr) {
        continue;
      }
      const std::optional<double> merit = Merit(study.objective(), *last);
      if (best == nullptr || merit > best_merit) {
        best = &run;
        best_merit = merit;
      }
    }
  }
  if (best != nullptr) {
    return absl::StrCat(best->name(), "/epochs/", best->epoch());
  }
  return absl::StrCat(winner.name(), "/epochs/", winner.epoch());
}

absl::StatusOr<std::string> FetchResult(Session& session, Client& client,
                                        const std::string& checkpoint,
                                        const std::string& folder) {
  HS_RETURN_IF_ERROR(MakeFolders(folder));
  const DownloadOptions options = {
      .checkpoint = checkpoint,
      .file = absl::StrCat(folder, "/", DefaultFileName(checkpoint))};
  // What a name stands for never changes, and the file is there whole or not
  // at all.
  if (access(options.file.c_str(), F_OK) == 0) return options.file;
  HS_RETURN_IF_ERROR(
      DownloadToFile(client, session.printer(), session.clock(), options)
          .status());
  return options.file;
}

void AddTraining(const v1::Training& training, Fields& fields) {
  fields.emplace_back(
      training.name(),
      absl::StrCat(v1::Training::State_Name(training.state()), ", ",
                   Count(training.resolved_training().epochs(), "epoch"),
                   training.source_checkpoint().empty() ? "" : " from ",
                   training.source_checkpoint()));
  for (const v1::TrainingRun& run : training.runs()) {
    fields.emplace_back(absl::StrCat("  seed ", run.seed()), RunText(run));
  }
  const std::string spread = TestAccuracyText(training);
  if (!spread.empty()) fields.emplace_back("  all seeds", spread);
}

}  // namespace

absl::Status ReportStudy(Session& session, Client& client,
                         const std::string& name, const std::string& folder) {
  v1::GetStudyRequest get;
  get.set_name(name);
  HS_ASSIGN_OR_RETURN(const v1::Study study, client.GetStudy(get));
  if (study.state() != v1::Study::SUCCEEDED) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, " is ", v1::Study::State_Name(study.state()),
        study.state_message().empty() ? "" : ": ", study.state_message()));
  }
  v1::GetTrialRequest get_winner;
  get_winner.set_name(study.best_trial());
  HS_ASSIGN_OR_RETURN(const v1::Trial winner, client.GetTrial(get_winner));

  const absl::Duration took =
      absl::Seconds(study.end_time().seconds() - study.create_time().seconds());
  Fields fields = {
      {name, absl::StrCat("SUCCEEDED, ",
                          Count(TrialsStarted(study.trial_counts()), "trial"),
                          ", ", Count(study.recorded_epochs(), "epoch"), ", ",
                          HumanDuration(took))},
      {"winner", winner.name()}};
  for (const v1::ParameterValue& value : winner.values()) {
    fields.emplace_back(absl::StrCat("  ", value.path()), value.value());
  }
  fields.emplace_back("  measured",
                      absl::StrCat(MeasuredText(LastMeasurement(winner)),
                                   " at epoch ", winner.epoch()));
  std::vector<v1::Training> trainings;
  absl::Status status;
  for (const std::string& training : study.trainings()) {
    v1::GetTrainingRequest get_training;
    get_training.set_name(training);
    HS_ASSIGN_OR_RETURN(const v1::Training found,
                        client.GetTraining(get_training));
    if (found.state() != v1::Training::SUCCEEDED) {
      status.Update(absl::FailedPreconditionError(absl::StrCat(
          training, " is ", v1::Training::State_Name(found.state()), ": ",
          found.state_message())));
    }
    // Arms are told of below, side by side. They are made to be compared, and
    // none of them is what a person asked for.
    if (!found.arm_of().empty()) continue;
    AddTraining(found, fields);
    trainings.push_back(found);
  }
  const std::string checkpoint = ResultCheckpoint(study, winner, trainings);
  fields.emplace_back("weights", checkpoint);
  if (folder.empty()) {
    fields.emplace_back(
        "  fetch with",
        absl::StrCat("headstart checkpoints download ", checkpoint,
                     ClusterFlags(session.flags()), " -o FILE"));
  } else {
    absl::StatusOr<std::string> file =
        FetchResult(session, client, checkpoint, folder);
    status.Update(file.status());
    if (file.ok()) fields.emplace_back("  are in", *std::move(file));
  }
  if (session.printer().is_live()) session.printer().Show({""});
  for (const std::string& line : FieldLines(fields)) {
    session.printer().Result(line);
  }
  for (const std::string& comparison : study.comparisons()) {
    status.Update(ShowComparison(session, client, comparison, folder));
  }
  return status;
}

}  // namespace headstart::client
