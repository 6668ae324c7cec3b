// The tables of a comparison's report, as plain text in cells: for the page,
// for Markdown and for the terminal.
#pragma once

#include <string>
#include <vector>

#include "client/report/page.h"
#include "headstart/v1/comparison.pb.h"

namespace headstart::client {

// Its display name, or else its name.
std::string ComparisonTitle(const v1::Comparison& comparison);

// "test accuracy".
std::string ComparedMetricText(v1::Comparison::Metric metric);

// Null without one.
const v1::ArmReport* BaselineOf(const v1::ComparisonReport& report);

// Runs without a reason to leave them out.
std::vector<const v1::ComparedRun*> CountingRuns(const v1::ArmReport& arm);

bool HasTarget(const v1::ComparisonReport& report);
// "90 %".
std::string TargetText(const v1::Comparison& comparison);

// Whether some arm starts from weights that have been trained before.
bool HasEarlierEpochs(const v1::ComparisonReport& report);

// One row per arm: runs, best and last accuracy, time to accuracy, speed-up.
PageTable ResultsTable(const v1::ComparisonReport& report);

// What an arm and the baseline are compared in.
enum class Quantity { kBest, kLast, kTime };

// The comparison of an arm in one quantity; null where there is none.
const v1::ArmComparison* ComparisonIn(const v1::ArmReport& arm,
                                      Quantity quantity);

// One row per arm that has such a comparison: difference, interval, tests.
// Without rows when none has.
PageTable TestsTable(const v1::ComparisonReport& report, Quantity quantity);

// One row per run.
PageTable RunsTable(const v1::ComparisonReport& report);

}  // namespace headstart::client
