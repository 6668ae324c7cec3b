// Comparison reports for tests: curves as trainings have them, statistics
// filled in by hand (what makes real ones is the scheduler's business).
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random_stream.h"
#include "headstart/v1/comparison.pb.h"

namespace headstart::client {

struct ReportShape {
  int arms = 3;
  int seeds = 4;
  int epochs = 40;
  double target = 0.9;  // 0: none.
};

inline v1::Spread SpreadOfSamples(const std::vector<double>& samples) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  v1::Spread spread;
  const auto count = static_cast<double>(samples.size());
  double mean = samples.empty() ? kNan : 0;
  for (const double sample : samples) mean += sample / count;
  double squares = 0;
  for (const double sample : samples) squares += std::pow(sample - mean, 2);
  const double deviation = count < 2 ? kNan : std::sqrt(squares / (count - 1));
  spread.set_count(static_cast<int64_t>(samples.size()));
  spread.set_mean(mean);
  spread.set_standard_deviation(deviation);
  spread.set_low(mean - 2 * deviation / std::sqrt(count));
  spread.set_high(mean + 2 * deviation / std::sqrt(count));
  return spread;
}

// A run whose accuracy climbs from `start` to about 0.94.
inline v1::ComparedRun MakeRun(const std::string& name, int64_t seed,
                               double start, const ReportShape& shape) {
  RandomStream noise = RandomStream(seed).Child(name);
  v1::ComparedRun run;
  run.set_run(name);
  run.set_seed(seed);
  run.set_manifest_digest(absl::StrCat("sha256:", std::string(64, 'a')));
  run.set_device("cpu, LibTorch 2.11, headstart 0.1.0");
  run.set_seconds(95.5);
  for (int epoch = 1; epoch <= shape.epochs; ++epoch) {
    const double share = 0.94 - (0.94 - start) * std::exp(-epoch * 0.1) +
                         0.004 * (noise.Uniform() - 0.5);
    const double accuracy = std::round(share * 1e4) / 1e4;
    run.add_accuracy(accuracy);
    run.set_last(accuracy);
    if (!run.has_best() || accuracy > run.best()) {
      run.set_best(accuracy);
      run.set_best_epoch(epoch);
    }
    if (shape.target > 0 && accuracy >= shape.target &&
        !run.has_time_to_accuracy()) {
      run.set_time_to_accuracy(epoch);
    }
  }
  return run;
}

inline v1::TestResult MakeTestResult(double p) {
  v1::TestResult result;
  result.set_statistic(3.5);
  result.set_p(p);
  result.set_holm_p(std::min(1.0, 2 * p));
  result.set_method("exact");
  return result;
}

inline v1::ArmComparison MakeArmComparison(double difference, int64_t pairs) {
  v1::ArmComparison comparison;
  comparison.set_difference(difference);
  comparison.set_low(difference / 2);
  comparison.set_high(difference * 3 / 2);
  comparison.set_pair_count(pairs);
  *comparison.mutable_paired_t() = MakeTestResult(0.00970728);
  *comparison.mutable_welch() = MakeTestResult(0.0021);
  *comparison.mutable_mann_whitney() = MakeTestResult(0.00001);
  comparison.set_effect_size(0.953);
  return comparison;
}

// Spreads of the runs that count.
inline void FillSpreads(v1::ArmReport* arm) {
  std::vector<double> best;
  std::vector<double> last;
  std::vector<double> times;
  arm->set_not_reached_count(0);
  for (const v1::ComparedRun& run : arm->runs()) {
    if (!run.excluded_because().empty()) continue;
    if (run.has_best()) best.push_back(run.best());
    if (run.has_last()) last.push_back(run.last());
    if (run.has_time_to_accuracy()) {
      times.push_back(static_cast<double>(run.time_to_accuracy()));
    } else {
      arm->set_not_reached_count(arm->not_reached_count() + 1);
    }
  }
  *arm->mutable_best() = SpreadOfSamples(best);
  *arm->mutable_last() = SpreadOfSamples(last);
  *arm->mutable_time_to_accuracy() = SpreadOfSamples(times);
}

// The first arm, "random", is the baseline; the others are "epoch 5",
// "epoch 10", ...
inline v1::ComparisonReport MakeReport(const ReportShape& shape = {}) {
  v1::ComparisonReport report;
  v1::Comparison& comparison = *report.mutable_comparison();
  comparison.set_name("comparisons/3");
  comparison.set_display_name("Which epoch is the best start?");
  comparison.set_study("studies/1");
  comparison.set_metric(v1::Comparison::TEST_ACCURACY);
  if (shape.target > 0) comparison.set_target_accuracy(shape.target);
  comparison.set_baseline("random");
  comparison.set_state(v1::Comparison::SUCCEEDED);
  comparison.mutable_create_time()->set_seconds(1772373731);
  comparison.set_started_by_study(true);
  for (int seed = 1; seed <= shape.seeds; ++seed) {
    comparison.add_seeds(seed * 1000 + 1);
  }
  report.set_summary("Epoch 5 is 0.16 points above random.");
  report.set_method("Intervals are bootstrap intervals of 10,000 draws.");
  for (int i = 0; i < shape.arms; ++i) {
    v1::ArmReport& arm = *report.add_arms();
    v1::ComparisonArm& given = *comparison.add_arms();
    arm.set_is_baseline(i == 0);
    arm.set_start_epoch(5 * i);
    arm.set_label(i == 0 ? "random" : absl::StrCat("epoch ", 5 * i));
    arm.set_training(absl::StrCat("trainings/", i + 1));
    v1::TrainingSpec& spec = *arm.mutable_training_spec();
    spec.mutable_model()->mutable_lenet_300_100();
    spec.set_epochs(shape.epochs);
    spec.mutable_optimizer()->mutable_sgd()->set_learning_rate(0.0003);
    given.set_label(arm.label());
    given.set_training_name(arm.training());
    if (i == 0) {
      spec.mutable_initializer()->mutable_xavier_normal();
      given.mutable_initializer()->mutable_xavier_normal();
    } else {
      spec.mutable_initializer()->mutable_checkpoint()->set_checkpoint(
          absl::StrCat("studies/1/trials/4/epochs/", 5 * i));
      given.add_epochs()->set_number_value(5 * i);
      given.set_source_checkpoint(spec.initializer().checkpoint().checkpoint());
    }
    for (int seed = 0; seed < shape.seeds; ++seed) {
      *arm.add_runs() = MakeRun(
          absl::StrCat(arm.training(), "/runs/", seed + 1),
          comparison.seeds(seed), std::min(0.85, 0.1 + 0.25 * i), shape);
    }
    FillSpreads(&arm);
    if (arm.time_to_accuracy().count() > 0) {
      arm.set_speed_up(report.arms(0).time_to_accuracy().mean() /
                       arm.time_to_accuracy().mean());
    }
    if (i > 0 && shape.seeds >= 2) {
      *arm.mutable_best_comparison() = MakeArmComparison(0.0016, shape.seeds);
      *arm.mutable_last_comparison() = MakeArmComparison(-0.0004, shape.seeds);
      if (shape.target > 0) {
        *arm.mutable_time_comparison() = MakeArmComparison(-9.25, shape.seeds);
      }
    }
  }
  return report;
}

// The last run of the last arm fails after two epochs and does not count.
inline void FailARun(v1::ComparisonReport* report) {
  v1::ArmReport& arm = *report->mutable_arms(report->arms_size() - 1);
  v1::ComparedRun& run = *arm.mutable_runs(arm.runs_size() - 1);
  run.set_excluded_because("FAILED at epoch 3: out of memory");
  run.mutable_accuracy()->Truncate(2);
  run.clear_time_to_accuracy();
  run.clear_manifest_digest();
  FillSpreads(&arm);
}

}  // namespace headstart::client
