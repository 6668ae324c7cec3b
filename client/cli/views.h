// How each resource looks as a table or as lines, for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "client/cli/print.h"
#include "headstart/v1/admin_service.pb.h"
#include "headstart/v1/checkpoint_service.pb.h"
#include "headstart/v1/study.pb.h"
#include "headstart/v1/training.pb.h"
#include "headstart/v1/trial.pb.h"
#include "headstart/v1/tuning_service.pb.h"

namespace headstart::client {

// "validation accuracy".
std::string MetricName(v1::Objective::Metric metric);
// An accuracy as percent, a loss as a number.
std::string ObjectiveText(v1::Objective::Metric metric,
                          std::optional<double> value);
std::optional<double> ObjectiveOf(const v1::Trial& trial);

// {"optimizer.adam.learning_rate=0.01324", "batch_size=60",
// "initializer=xavier_normal"}: short, so not for programs.
std::vector<std::string> ShortValues(const v1::Trial& trial);

// "27: 2 training, 7 paused, 18 stopped"; "0" when there are none.
std::string TrialCountsText(const v1::TrialCounts& counts);
int64_t TrialsStarted(const v1::TrialCounts& counts);

bool IsOver(const v1::Training& training);
// The checkpoint it starts from, "-" without.
std::string SourceText(const v1::Training& training);

// Mean and sample deviation of some measured values.
struct Spread {
  int64_t count = 0;
  double mean = 0;
  double deviation = 0;  // 0 with one value.
};
Spread SpreadOf(absl::Span<const double> values);

// Of the last epoch; null before the first.
const v1::Measurement* LastMeasurement(const v1::Trial& trial);
const v1::Measurement* LastMeasurement(const v1::TrainingRun& run);
// Of the SUCCEEDED runs that measured it at their last epoch.
Spread TestAccuracy(const v1::Training& training);
// "test accuracy: mean 97.93 %, standard deviation 0.08 % over 3 seeds"; empty
// before any was measured.
std::string TestAccuracyText(const v1::Training& training);

Table StudyTable(absl::Span<const v1::Study> studies);
std::vector<std::string> StudyLines(const v1::Study& study);
std::vector<std::string> PlanLines(const v1::StudyPlan& plan);

Table TrialTable(absl::Span<const v1::Trial> trials,
                 v1::Objective::Metric metric);
std::vector<std::string> TrialLines(const v1::Trial& trial);
std::vector<std::string> ExplanationLines(
    const v1::ExplainTrialResponse& explanation);

Table CheckpointTable(absl::Span<const v1::Checkpoint> checkpoints);
std::vector<std::string> CheckpointLines(const v1::Checkpoint& checkpoint);
// Tables below the lines of a checkpoint; none for an empty record.
std::vector<std::string> InitializationLines(
    const v1::Initialization& initialization);
std::vector<std::string> UsageLines(const v1::GetUsageResponse& usage);

Table TrainingTable(absl::Span<const v1::Training> trainings);
std::vector<std::string> TrainingLines(const v1::Training& training);

Table WorkerTable(absl::Span<const v1::Worker> workers);

}  // namespace headstart::client
