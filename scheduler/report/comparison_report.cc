#include "scheduler/report/comparison_report.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "scheduler/report/report_fields.h"
#include "scheduler/report/report_text.h"
#include "scheduler/report/report_warnings.h"
#include "scheduler/report/report_words.h"
#include "scheduler/report/statistics.h"

namespace headstart::scheduler {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// The time of a run that never reached the target.
constexpr double kNever = std::numeric_limits<double>::infinity();

// The metric of an epoch; NaN where it was not measured, or not as a number.
double AccuracyOf(v1::Comparison::Metric metric,
                  const v1::Measurement& measurement) {
  double accuracy = kNan;
  if (metric == v1::Comparison::TEST_ACCURACY) {
    if (measurement.has_test_accuracy()) accuracy = measurement.test_accuracy();
  } else if (measurement.has_validation_accuracy()) {
    accuracy = measurement.validation_accuracy();
  }
  return std::isfinite(accuracy) ? accuracy : kNan;
}

// A sentence that another goes on after.
absl::string_view WithoutFullStop(absl::string_view text) {
  return absl::StripSuffix(text, ".");
}

// Why a run does not count; empty when it does.
std::string Exclusion(const v1::Training& training,
                      const v1::TrainingRun& run) {
  const std::string epoch = absl::StrCat("epoch ", run.epoch(), " of ",
                                         training.resolved_training().epochs());
  const std::string failure =
      run.failure().message().empty()
          ? ""
          : absl::StrCat(": ", WithoutFullStop(run.failure().message()));
  switch (run.state()) {
    case v1::TrainingRun::SUCCEEDED:
      return "";
    case v1::TrainingRun::FAILED:
      return absl::StrCat("failed after ", epoch, failure);
    case v1::TrainingRun::INFEASIBLE:
      return absl::StrCat("infeasible after ", epoch, failure);
    case v1::TrainingRun::CANCELLED:
      // A training that cannot go on takes its runs along.
      return absl::StrCat(
          "cancelled after ", epoch,
          training.state() == v1::Training::FAILED
              ? absl::StrCat(": ", WithoutFullStop(training.state_message()))
              : "");
    default:
      return absl::StrCat(kNotFinished, ": ", epoch);
  }
}

// The kinds of the slots that trained it, such as cpu or cuda.
std::string SlotKinds(const v1::TrainingRun& run) {
  absl::btree_set<absl::string_view> kinds;
  for (const v1::Attempt& attempt : run.attempts()) {
    if (attempt.slot().empty()) continue;
    kinds.insert(*absl::StrSplit(attempt.slot(), ':').begin());
  }
  return absl::StrJoin(kinds, ", ");
}

v1::ComparedRun RunOf(const v1::Comparison& comparison, const ReportArm& arm,
                      const v1::TrainingRun& run) {
  v1::ComparedRun compared;
  compared.set_run(run.name());
  compared.set_seed(run.seed());
  compared.set_excluded_because(Exclusion(arm.training, run));
  compared.set_device(SlotKinds(run));
  int64_t last_epoch = 0;
  for (const v1::EpochRecord& record : run.epochs()) {
    compared.set_seconds(compared.seconds() + record.seconds().train() +
                         record.seconds().evaluate());
    if (record.epoch() < 1) continue;
    while (compared.accuracy_size() < record.epoch()) {
      compared.add_accuracy(kNan);
    }
    compared.set_accuracy(
        static_cast<int>(record.epoch() - 1),
        AccuracyOf(comparison.metric(), record.measurement()));
    if (record.epoch() < last_epoch) continue;
    last_epoch = record.epoch();
    compared.set_manifest_digest(
        record.manifest_digest().empty()
            ? ""
            : absl::StrCat("sha256:",
                           absl::BytesToHexString(record.manifest_digest())));
  }
  for (int64_t epoch = 1; epoch <= compared.accuracy_size(); ++epoch) {
    const double accuracy = compared.accuracy(static_cast<int>(epoch - 1));
    if (std::isnan(accuracy)) continue;
    if (!compared.has_best() || accuracy > compared.best()) {
      compared.set_best(accuracy);
      compared.set_best_epoch(epoch);
    }
    compared.set_last(accuracy);
    if (comparison.has_target_accuracy() && !compared.has_time_to_accuracy() &&
        accuracy >= comparison.target_accuracy()) {
      compared.set_time_to_accuracy(epoch);
    }
  }
  if (compared.excluded_because().empty() && !compared.has_best()) {
    compared.set_excluded_because(
        absl::StrCat(MetricText(comparison.metric()), " was never measured"));
  }
  return compared;
}

// What one run has of a quantity.
struct RunValue {
  int64_t seed;
  double value;  // kNever in times only.
};

// Of the runs that count.
std::vector<RunValue> ValuesOf(const v1::ArmReport& arm, Quantity quantity) {
  std::vector<RunValue> values;
  for (const v1::ComparedRun& run : arm.runs()) {
    if (!run.excluded_because().empty()) continue;
    double value = kNever;
    if (quantity == Quantity::kBest) {
      value = run.best();
    } else if (quantity == Quantity::kLast) {
      value = run.last();
    } else if (run.has_time_to_accuracy()) {
      value = static_cast<double>(run.time_to_accuracy());
    }
    values.push_back({run.seed(), value});
  }
  return values;
}

std::vector<double> Finite(const std::vector<RunValue>& values) {
  std::vector<double> finite;
  for (const RunValue& run : values) {
    if (std::isfinite(run.value)) finite.push_back(run.value);
  }
  return finite;
}

std::vector<double> All(const std::vector<RunValue>& values) {
  std::vector<double> all;
  for (const RunValue& run : values) all.push_back(run.value);
  return all;
}

v1::Spread Describe(const std::vector<double>& values, Bootstrap& bootstrap) {
  v1::Spread spread;
  spread.set_count(static_cast<int64_t>(values.size()));
  spread.set_mean(Mean(values).value_or(kNan));
  spread.set_standard_deviation(SampleStandardDeviation(values).value_or(kNan));
  const Interval interval =
      bootstrap.OfMean(values).value_or(Interval{kNan, kNan});
  spread.set_low(interval.low);
  spread.set_high(interval.high);
  return spread;
}

void SetTest(const std::optional<TTest>& test, v1::TestResult* result) {
  result->set_statistic(test->t);
  result->set_degrees_of_freedom(test->degrees_of_freedom);
  result->set_p(test->p);
}

v1::ArmComparison Compare(const std::vector<RunValue>& arm,
                          const std::vector<RunValue>& baseline,
                          Bootstrap& bootstrap) {
  absl::btree_map<int64_t, double> of_seed;
  for (const RunValue& run : baseline) of_seed[run.seed] = run.value;
  // Pairs of which both have a value.
  std::vector<double> arm_of_pairs, baseline_of_pairs;
  for (const RunValue& run : arm) {
    const auto partner = of_seed.find(run.seed);
    if (partner == of_seed.end() || !std::isfinite(run.value) ||
        !std::isfinite(partner->second)) {
      continue;
    }
    arm_of_pairs.push_back(run.value);
    baseline_of_pairs.push_back(partner->second);
  }
  const std::vector<double> first = Finite(arm), second = Finite(baseline);

  v1::ArmComparison result;
  result.set_pair_count(static_cast<int64_t>(arm_of_pairs.size()));
  result.set_difference(Mean(first).value_or(kNan) -
                        Mean(second).value_or(kNan));
  const bool all_paired = first.size() == arm_of_pairs.size() &&
                          second.size() == arm_of_pairs.size();
  const Interval interval = (all_paired ? bootstrap.OfPairedDifference(
                                              arm_of_pairs, baseline_of_pairs)
                                        : bootstrap.OfDifference(first, second))
                                .value_or(Interval{kNan, kNan});
  result.set_low(interval.low);
  result.set_high(interval.high);
  if (const auto test = PairedT(arm_of_pairs, baseline_of_pairs)) {
    SetTest(test, result.mutable_paired_t());
  }
  if (const auto test = WelchT(first, second)) {
    SetTest(test, result.mutable_welch());
  }
  const std::vector<double> arm_ranked = All(arm);
  const std::vector<double> baseline_ranked = All(baseline);
  if (const auto test = MannWhitney(arm_ranked, baseline_ranked)) {
    v1::TestResult& found = *result.mutable_mann_whitney();
    found.set_statistic(test->u);
    found.set_p(test->p);
    found.set_method(std::string(test->method));
    if (first.size() < arm.size() || second.size() < baseline.size()) {
      absl::StrAppend(found.mutable_method(),
                      "; runs that never reached the target rank behind all "
                      "others, tied");
    }
  }
  result.set_effect_size(*VarghaDelaney(arm_ranked, baseline_ranked));
  return result;
}

v1::ArmReport ArmOf(const v1::Comparison& comparison, const ReportArm& arm,
                    Bootstrap& bootstrap) {
  v1::ArmReport report;
  report.set_label(arm.arm.label());
  report.set_training(arm.arm.training_name());
  report.set_is_baseline(arm.arm.label() == comparison.baseline());
  report.set_start_epoch(arm.start_epoch);
  *report.mutable_training_spec() = arm.training.resolved_training();
  for (const v1::TrainingRun& run : arm.training.runs()) {
    *report.add_runs() = RunOf(comparison, arm, run);
  }
  *report.mutable_best() =
      Describe(Finite(ValuesOf(report, Quantity::kBest)), bootstrap);
  *report.mutable_last() =
      Describe(Finite(ValuesOf(report, Quantity::kLast)), bootstrap);
  if (comparison.has_target_accuracy()) {
    const std::vector<RunValue> times = ValuesOf(report, Quantity::kTime);
    const std::vector<double> reached = Finite(times);
    *report.mutable_time_to_accuracy() = Describe(reached, bootstrap);
    report.set_not_reached_count(
        static_cast<int64_t>(times.size() - reached.size()));
  }
  return report;
}

v1::ArmComparison* MutableComparison(v1::ArmReport& arm, Quantity quantity) {
  if (quantity == Quantity::kBest) return arm.mutable_best_comparison();
  if (quantity == Quantity::kLast) return arm.mutable_last_comparison();
  return arm.mutable_time_comparison();
}

// Holm's correction of one test over all arms.
void CorrectOverArms(v1::ComparisonReport& report, Quantity quantity,
                     TestKind kind) {
  std::vector<v1::TestResult*> results;
  std::vector<double> p;
  for (v1::ArmReport& arm : *report.mutable_arms()) {
    const v1::ArmComparison* comparison = ComparisonOf(arm, quantity);
    if (comparison == nullptr || ResultOf(*comparison, kind) == nullptr) {
      continue;
    }
    v1::ArmComparison& changed = *MutableComparison(arm, quantity);
    results.push_back(kind == TestKind::kPairedT ? changed.mutable_paired_t()
                      : kind == TestKind::kWelch
                          ? changed.mutable_welch()
                          : changed.mutable_mann_whitney());
    p.push_back(results.back()->p());
  }
  const std::vector<double> corrected = HolmCorrected(p);
  for (size_t i = 0; i < results.size(); ++i) {
    results[i]->set_holm_p(corrected[i]);
  }
}

void CompareWithBaseline(v1::ComparisonReport& report, Bootstrap& bootstrap) {
  const v1::ArmReport* baseline = BaselineOf(report);
  if (baseline == nullptr) return;
  for (const Quantity quantity : kQuantities) {
    if (quantity == Quantity::kTime && !baseline->has_time_to_accuracy()) {
      continue;
    }
    const std::vector<RunValue> of_baseline = ValuesOf(*baseline, quantity);
    for (v1::ArmReport& arm : *report.mutable_arms()) {
      if (arm.is_baseline()) continue;
      const std::vector<RunValue> of_arm = ValuesOf(arm, quantity);
      if (of_arm.size() < 2 || of_baseline.size() < 2) continue;
      if (Finite(of_arm).empty() && Finite(of_baseline).empty()) continue;
      *MutableComparison(arm, quantity) =
          Compare(of_arm, of_baseline, bootstrap);
    }
    for (const TestKind kind : kTestKinds) {
      CorrectOverArms(report, quantity, kind);
    }
  }
  const v1::Spread& time = baseline->time_to_accuracy();
  for (v1::ArmReport& arm : *report.mutable_arms()) {
    if (time.count() == 0 || arm.time_to_accuracy().count() == 0) continue;
    arm.set_speed_up(time.mean() / arm.time_to_accuracy().mean());
  }
}

}  // namespace

v1::ComparisonReport MakeComparisonReport(const v1::Comparison& comparison,
                                          const std::vector<ReportArm>& arms) {
  v1::ComparisonReport report;
  *report.mutable_comparison() = comparison;
  v1::Comparison& shown = *report.mutable_comparison();
  if (shown.baseline().empty() && !arms.empty()) {
    shown.set_baseline(arms.front().arm.label());
  }
  Bootstrap bootstrap;
  for (const ReportArm& arm : arms) {
    *report.add_arms() = ArmOf(shown, arm, bootstrap);
  }
  CompareWithBaseline(report, bootstrap);
  report.set_summary(SummaryOf(report));
  for (std::string& warning : WarningsOf(report)) {
    report.add_warnings(std::move(warning));
  }
  report.set_method(MethodOf(report));
  return report;
}

}  // namespace headstart::scheduler
