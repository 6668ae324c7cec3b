#include "scheduler/report/report_fields.h"

#include <algorithm>
#include <cmath>

namespace headstart::scheduler {

const v1::ArmReport* BaselineOf(const v1::ComparisonReport& report) {
  for (const v1::ArmReport& arm : report.arms()) {
    if (arm.is_baseline()) return &arm;
  }
  return nullptr;
}

int64_t LongestRun(const v1::ArmReport& arm) {
  int64_t epochs = 0;
  for (const v1::ComparedRun& run : arm.runs()) {
    if (!run.excluded_because().empty()) continue;
    epochs = std::max<int64_t>(epochs, run.accuracy_size());
  }
  return epochs > 0 ? epochs : arm.training_spec().epochs();
}

const v1::Spread& SpreadOf(const v1::ArmReport& arm, Quantity quantity) {
  if (quantity == Quantity::kBest) return arm.best();
  if (quantity == Quantity::kLast) return arm.last();
  return arm.time_to_accuracy();
}

const v1::ArmComparison* ComparisonOf(const v1::ArmReport& arm,
                                      Quantity quantity) {
  if (quantity == Quantity::kBest) {
    return arm.has_best_comparison() ? &arm.best_comparison() : nullptr;
  }
  if (quantity == Quantity::kLast) {
    return arm.has_last_comparison() ? &arm.last_comparison() : nullptr;
  }
  return arm.has_time_comparison() ? &arm.time_comparison() : nullptr;
}

const v1::TestResult* ResultOf(const v1::ArmComparison& comparison,
                               TestKind kind) {
  if (kind == TestKind::kPairedT) {
    return comparison.has_paired_t() ? &comparison.paired_t() : nullptr;
  }
  if (kind == TestKind::kWelch) {
    return comparison.has_welch() ? &comparison.welch() : nullptr;
  }
  return comparison.has_mann_whitney() ? &comparison.mann_whitney() : nullptr;
}

TestKind QuotedTest(const v1::ComparisonReport& report, Quantity quantity) {
  if (quantity == Quantity::kTime) {
    for (const v1::ArmReport& arm : report.arms()) {
      if (arm.not_reached_count() > 0) return TestKind::kMannWhitney;
    }
  }
  for (const TestKind kind : {TestKind::kPairedT, TestKind::kWelch}) {
    bool all = true;
    for (const v1::ArmReport& arm : report.arms()) {
      const v1::ArmComparison* comparison = ComparisonOf(arm, quantity);
      if (comparison == nullptr) continue;
      const v1::TestResult* result = ResultOf(*comparison, kind);
      all &= result != nullptr && std::isfinite(result->statistic());
    }
    if (all) return kind;
  }
  return TestKind::kMannWhitney;
}

int64_t ComparedCount(const v1::ComparisonReport& report, Quantity quantity) {
  return std::count_if(report.arms().begin(), report.arms().end(),
                       [&](const v1::ArmReport& arm) {
                         return ComparisonOf(arm, quantity) != nullptr;
                       });
}

}  // namespace headstart::scheduler
