// The statistics and reports of comparisons against the 232 runs of the paper
// on starting from tuning trials. README.md says where they come from.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/check.h"
#include "base/file.h"
#include "scheduler/report/comparison_report.h"
#include "scheduler/report/statistics.h"
#include "tests/support/process.h"

namespace headstart::scheduler {
namespace {

using ::testing::HasSubstr;

// An experiment and a start, such as res18-c10 and 25.
using Row = std::pair<std::string, std::string>;

struct Runs {
  double target = 0;  // In percent, as all accuracies here.
  std::vector<double> best, last, tta;
};

struct Published {
  double best_mean = 0, best_deviation = 0, tta_mean = 0;
};

double Number(absl::string_view text) {
  double number;
  HS_CHECK(absl::SimpleAtod(text, &number)) << text;
  return number;
}

std::vector<double> Numbers(absl::string_view text) {
  std::vector<double> numbers;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    numbers.push_back(Number(word));
  }
  return numbers;
}

// The fields of each line but the first.
std::vector<std::vector<std::string>> Table(const std::string& name) {
  const std::string text =
      ReadFile(SourceFolder() + "/tests/oracles/hp_init_paper/" + name).value();
  std::vector<std::vector<std::string>> table;
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    table.push_back(absl::StrSplit(line, ';'));
  }
  table.erase(table.begin());
  return table;
}

std::map<Row, Runs> AllRuns() {
  std::map<Row, Runs> runs;
  for (const std::vector<std::string>& fields : Table("per_run.csv")) {
    runs[{fields[0], fields[1]}] = {Number(fields[2]), Numbers(fields[3]),
                                    Numbers(fields[4]), Numbers(fields[5])};
  }
  return runs;
}

std::map<Row, Published> PaperTables() {
  std::map<Row, Published> tables;
  for (const std::vector<std::string>& fields : Table("tables.csv")) {
    tables[{fields[0], fields[1]}] = {Number(fields[2]), Number(fields[3]),
                                      Number(fields[4])};
  }
  return tables;
}

// Half of the last of three decimals.
constexpr double kThreeDecimals = 0.0005 + 1e-9;

TEST(PaperTest, HasThePublishedTables) {
  const std::map<Row, Runs> all = AllRuns();
  const std::map<Row, Published> tables = PaperTables();
  ASSERT_EQ(all.size(), 31);
  ASSERT_EQ(tables.size(), 31);
  int64_t run_count = 0;
  for (const auto& [row, published] : tables) {
    SCOPED_TRACE(row.first + " " + row.second);
    const Runs& runs = all.at(row);
    EXPECT_NEAR(*Mean(runs.best), published.best_mean, kThreeDecimals);
    EXPECT_NEAR(*SampleStandardDeviation(runs.best), published.best_deviation,
                kThreeDecimals);
    EXPECT_NEAR(*Mean(runs.tta), published.tta_mean, kThreeDecimals);
    // Best is optimistic by this much.
    const double optimism = *Mean(runs.best) - *Mean(runs.last);
    EXPECT_GT(optimism, 0.025);
    EXPECT_LT(optimism, 0.555);
    run_count += static_cast<int64_t>(runs.best.size());
  }
  EXPECT_EQ(run_count, 232);
}

// Best accuracy against random: difference of means, p of Welch's test, and of
// Mann-Whitney's (-1: not stated), to two digits or more.
struct Reanalysis {
  Row row;
  double difference, welch_p, mann_whitney_p;
};

TEST(PaperTest, HasTheReanalysis) {
  const std::vector<Reanalysis> expected = {
      {{"res18-c10", "2"}, -0.034, 0.52, 0.59},
      {{"res18-c10", "5"}, 0.058, 0.28, 0.27},
      {{"res18-c10", "10"}, 0.087, 0.077, 0.078},
      {{"res18-c10", "15"}, 0.108, 0.14, 0.17},
      {{"res18-c10", "20"}, 0.120, 0.032, 0.063},
      {{"res18-c10", "25"}, 0.160, 0.0021, 0.0011},
      {{"res18-c10", "final"}, 0.085, 0.060, 0.098},
      {{"res18-c100", "30"}, 0.213, 0.11, -1},
      {{"res18-tinyimagenet", "15"}, -0.543, 0.0175, 0.013},
      {{"res18-tinyimagenet", "35"}, -0.065, 0.78, -1},
      {{"inceptionv3-food101", "5"}, 1.545, 0.0047, -1},
      {{"inceptionv3-food101", "10"}, 2.550, 0.0002, -1},
      {{"inceptionv3-food101", "15"}, 3.187, 0.0001, -1},
  };
  const std::map<Row, Runs> all = AllRuns();
  // Half of the last digit: 0.52 has two decimals, 0.0021 four.
  const auto close = [](double p) {
    return p >= 0.1 ? 0.005 : p >= 0.01 ? 0.0005 : 0.00005;
  };
  for (const Reanalysis& test : expected) {
    SCOPED_TRACE(test.row.first + " " + test.row.second);
    const std::vector<double>& first = all.at(test.row).best;
    const std::vector<double>& random = all.at({test.row.first, "random"}).best;
    EXPECT_NEAR(*Mean(first) - *Mean(random), test.difference, 0.001);
    EXPECT_NEAR(WelchT(first, random)->p, test.welch_p, close(test.welch_p));
    if (test.mann_whitney_p >= 0) {
      EXPECT_NEAR(MannWhitney(first, random)->p, test.mann_whitney_p,
                  close(test.mann_whitney_p));
    }
  }
  // Where there is no gain.
  std::map<std::string, std::pair<double, double>> range;
  std::map<std::string, double> smallest;
  for (const auto& [row, runs] : all) {
    if (row.second == "random") continue;
    const std::vector<double>& random = all.at({row.first, "random"}).best;
    const double difference = *Mean(runs.best) - *Mean(random);
    const double p = WelchT(runs.best, random)->p;
    auto [at, is_new] = range.insert({row.first, {difference, difference}});
    at->second.first = std::min(at->second.first, difference);
    at->second.second = std::max(at->second.second, difference);
    smallest[row.first] = is_new ? p : std::min(p, smallest[row.first]);
  }
  EXPECT_NEAR(range["res18-c100"].first, -0.133, 0.001);
  EXPECT_NEAR(range["res18-c100"].second, 0.213, 0.001);
  EXPECT_NEAR(smallest["res18-c100"], 0.11, 0.005);
  EXPECT_NEAR(range["res18-tinyimagenet"].second, -0.065, 0.001);
  EXPECT_NEAR(range["res152-c100"].first, -0.300, 0.001);
  EXPECT_NEAR(range["res152-c100"].second, -0.142, 0.001);
  EXPECT_NEAR(smallest["res152-c100"], 0.095, 0.0005);
  EXPECT_NEAR(range["inceptionv3-food101"].second, 3.508, 0.001);
  EXPECT_LT(smallest["inceptionv3-food101"], 0.0001);
}

// -------------------------------------------------------- reports of the runs

// Test accuracies in percent after each epoch, a run each, by start.
using Curves = std::map<std::string, std::vector<std::vector<double>>>;

// The report of one experiment, against random.
v1::ComparisonReport Report(const Curves& curves, double target) {
  v1::Comparison comparison;
  comparison.set_metric(v1::Comparison::TEST_ACCURACY);
  comparison.set_target_accuracy(target / 100);
  comparison.set_baseline("random");
  std::vector<ReportArm> arms;
  for (const auto& [start, runs] : curves) {
    ReportArm& arm = arms.emplace_back();
    arm.arm.set_label(start);
    v1::Training& training = arm.training;
    training.mutable_resolved_training()->set_epochs(
        static_cast<int64_t>(runs[0].size()));
    for (const std::vector<double>& curve : runs) {
      v1::TrainingRun& run = *training.add_runs();
      run.set_seed(training.runs_size());
      run.set_state(v1::TrainingRun::SUCCEEDED);
      for (const double accuracy : curve) {
        v1::EpochRecord& record = *run.add_epochs();
        record.set_epoch(run.epochs_size());
        record.mutable_measurement()->set_test_accuracy(accuracy / 100);
      }
      if (comparison.seeds_size() < training.runs_size()) {
        comparison.add_seeds(run.seed());
      }
    }
  }
  return MakeComparisonReport(comparison, arms);
}

// Whether a report says of every run and arm what the paper does.
void Check(const std::string& experiment, const v1::ComparisonReport& report) {
  static const std::map<Row, Runs> all = AllRuns();
  static const std::map<Row, Published> tables = PaperTables();
  for (const v1::ArmReport& arm : report.arms()) {
    SCOPED_TRACE(experiment + " " + arm.label());
    const Runs& runs = all.at({experiment, arm.label()});
    ASSERT_EQ(arm.runs_size(), static_cast<int64_t>(runs.best.size()));
    for (int i = 0; i < arm.runs_size(); ++i) {
      EXPECT_NEAR(100 * arm.runs(i).best(), runs.best[i], 1e-12);
      EXPECT_NEAR(100 * arm.runs(i).last(), runs.last[i], 1e-12);
      EXPECT_EQ(arm.runs(i).time_to_accuracy(), runs.tta[i]);
    }
    const Published& published = tables.at({experiment, arm.label()});
    EXPECT_NEAR(100 * arm.best().mean(), published.best_mean, kThreeDecimals);
    EXPECT_NEAR(100 * arm.best().standard_deviation(), published.best_deviation,
                kThreeDecimals);
    EXPECT_NEAR(arm.time_to_accuracy().mean(), published.tta_mean,
                kThreeDecimals);
    EXPECT_EQ(arm.not_reached_count(), 0);
    EXPECT_LT(arm.best().low(), arm.best().mean());
    EXPECT_GT(arm.best().high(), arm.best().mean());
  }
}

const v1::ArmReport& ArmOf(const v1::ComparisonReport& report,
                           const std::string& start) {
  for (const v1::ArmReport& arm : report.arms()) {
    if (arm.label() == start) return arm;
  }
  HS_CHECK(false) << start;
  std::abort();
}

// What the five reports, by experiment, say together.
void CheckConclusions(
    const std::map<std::string, v1::ComparisonReport>& reports) {
  const v1::ComparisonReport& cifar10 = reports.at("res18-c10");
  const v1::ArmReport& epoch25 = ArmOf(cifar10, "25");
  EXPECT_NEAR(epoch25.speed_up(), 29.125 / 14.375, 1e-12);
  EXPECT_NEAR(ArmOf(cifar10, "final").speed_up(), 2.28, 0.005);
  const v1::ArmComparison& best = epoch25.best_comparison();
  EXPECT_EQ(best.pair_count(), 8);
  EXPECT_NEAR(best.paired_t().statistic(), 3.5215599, 5e-8);
  EXPECT_NEAR(best.paired_t().p(), 0.00970728, 5e-9);
  // The smallest of the seven is that of epoch 20; epoch 25 comes second.
  const double smallest = ArmOf(cifar10, "20").best_comparison().paired_t().p();
  EXPECT_NEAR(smallest, 0.009488, 5e-7);
  EXPECT_NEAR(best.paired_t().holm_p(), 7 * smallest, 1e-15);
  EXPECT_NEAR(best.welch().p(), 0.0020941, 5e-8);
  EXPECT_NEAR(best.welch().degrees_of_freedom(), 11.7394, 5e-5);
  EXPECT_EQ(best.mann_whitney().statistic(), 61);
  EXPECT_NEAR(best.mann_whitney().p(), 14.0 / 12870, 1e-15);
  EXPECT_NEAR(best.mann_whitney().holm_p(), 7 * 14.0 / 12870, 1e-14);
  EXPECT_EQ(best.mann_whitney().method(), "exact, with ties by enumeration");
  EXPECT_NEAR(best.effect_size(), 61.0 / 64, 1e-15);
  EXPECT_THAT(cifar10.summary(),
              HasSubstr("\"25\" reaches 90 % after 14.4 epochs instead of "
                        "29.1, 2.03 times sooner"));
  EXPECT_THAT(cifar10.summary(),
              HasSubstr("paired t p = 0.0097, after Holm's correction for 7 "
                        "arms 0.066: not significant"));
  EXPECT_NEAR(ArmOf(reports.at("inceptionv3-food101"), "final").speed_up(),
              1.84, 0.005);
  // Elsewhere no start is faster, and none is better.
  for (const std::string experiment :
       {"res18-c100", "res18-tinyimagenet", "res152-c100"}) {
    for (const v1::ArmReport& arm : reports.at(experiment).arms()) {
      EXPECT_GT(arm.speed_up(), 0.98);
      EXPECT_LT(arm.speed_up(), 1.01);
    }
    EXPECT_THAT(reports.at(experiment).summary(),
                HasSubstr("No arm differs significantly from \"random\""));
  }
}

TEST(PaperTest, ReportsWhatTheRunsReached) {
  // Curves that are as good as the published ones where the report looks.
  std::map<std::string, Curves> experiments;
  std::map<std::string, double> targets;
  for (const auto& [row, runs] : AllRuns()) {
    targets[row.first] = runs.target;
    const int64_t epochs = row.first == "inceptionv3-food101" ? 50 : 200;
    for (size_t i = 0; i < runs.best.size(); ++i) {
      std::vector<double> curve(epochs, runs.target - 1);
      curve[static_cast<int64_t>(runs.tta[i]) - 1] = runs.target;
      curve[epochs - 2] = runs.best[i];
      curve[epochs - 1] = runs.last[i];
      experiments[row.first][row.second].push_back(curve);
    }
  }
  std::map<std::string, v1::ComparisonReport> reports;
  for (const auto& [experiment, curves] : experiments) {
    reports[experiment] = Report(curves, targets[experiment]);
    Check(experiment, reports[experiment]);
  }
  CheckConclusions(reports);
}

// ------------------------------------------------------- the published curves

// 2, 5, ..., final or random.
std::string StartOf(const std::string& file) {
  for (const std::string_view mark : {"hp-epoch-"}) {
    const size_t at = file.rfind(mark);
    if (at == std::string::npos) continue;
    const size_t begin = at + mark.size();
    return file.substr(begin,
                       file.find_first_not_of("0123456789", begin) - begin);
  }
  return absl::StrContains(file, "final") ? "final" : "random";
}

std::vector<std::vector<double>> ReadCurves(const std::string& path) {
  const std::string text = ReadFile(path).value();
  std::vector<std::string> header;
  std::vector<std::vector<double>> curves;
  for (const absl::string_view line :
       absl::StrSplit(text, absl::ByAnyChar("\r\n"), absl::SkipEmpty())) {
    const std::vector<std::string> fields = absl::StrSplit(line, ',');
    if (header.empty()) {
      header = fields;
      continue;
    }
    std::vector<double>& curve = curves.emplace_back();
    for (size_t i = 0; i < fields.size(); ++i) {
      const std::string next = absl::StrCat("epoch_", curve.size() + 1);
      if (header[i] == next) curve.push_back(Number(fields[i]));
    }
  }
  return curves;
}

TEST(PaperTest, ReportsThePublishedCurves) {
  const char* named = std::getenv("HEADSTART_HP_INIT_PAPER");
  const std::string folder =
      (named != nullptr
           ? std::string(named)
           : SourceFolder() + "/../shared/data/hp-init-paper-results") +
      "/PaperCSVs";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << "The published curves are not in " << folder
                 << "; set HEADSTART_HP_INIT_PAPER to a folder with PaperCSVs.";
  }
  std::map<std::string, v1::ComparisonReport> reports;
  int64_t epoch_count = 0, strict_runs = 0;
  std::set<Row> strict_rows;
  for (const auto& [row, runs] : AllRuns()) {
    if (row.second != "random") continue;
    Curves curves;
    for (const auto& file :
         std::filesystem::directory_iterator(folder + "/" + row.first)) {
      const std::string start = StartOf(file.path().filename().string());
      curves[start] = ReadCurves(file.path().string());
      for (const std::vector<double>& curve : curves[start]) {
        epoch_count += static_cast<int64_t>(curve.size());
        // Above the target instead of at least that: other times.
        const double target = runs.target;
        const auto above = [target](double value) { return value > target; };
        const auto at_least = [target](double value) {
          return value >= target;
        };
        if (std::find_if(curve.begin(), curve.end(), above) !=
            std::find_if(curve.begin(), curve.end(), at_least)) {
          ++strict_runs;
          strict_rows.insert({row.first, start});
        }
      }
    }
    reports[row.first] = Report(curves, runs.target);
    Check(row.first, reports[row.first]);
  }
  CheckConclusions(reports);
  EXPECT_EQ(epoch_count, 192 * 200 + 40 * 50);
  EXPECT_EQ(strict_runs, 8);
  EXPECT_EQ(strict_rows.size(), 8);
}

}  // namespace
}  // namespace headstart::scheduler
