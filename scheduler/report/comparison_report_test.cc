#include "scheduler/report/comparison_report.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace headstart::scheduler {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsNan;
using ::testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A comparison by validation accuracy whose arms are given by the curves of
// their runs, one for each of the seeds 1, 2, ...
class ComparisonReportTest : public testing::Test {
 protected:
  ComparisonReportTest() {
    comparison_.set_name("comparisons/1");
    comparison_.set_metric(v1::Comparison::VALIDATION_ACCURACY);
    comparison_.set_state(v1::Comparison::SUCCEEDED);
    comparison_.set_target_accuracy(0.9);
  }

  using Curve = std::vector<double>;

  // All runs SUCCEEDED.
  ReportArm& AddArm(const std::string& label,
                    const std::vector<Curve>& curves) {
    ReportArm& arm = arms_.emplace_back();
    const std::string name = absl::StrCat("trainings/", arms_.size());
    arm.arm.set_label(label);
    arm.arm.set_training_name(name);
    v1::Training& training = arm.training;
    training.set_name(name);
    training.set_state(v1::Training::SUCCEEDED);
    for (const Curve& curve : curves) {
      v1::TrainingRun& run = *training.add_runs();
      run.set_name(absl::StrCat(name, "/runs/", training.runs_size()));
      run.set_seed(training.runs_size());
      run.set_state(v1::TrainingRun::SUCCEEDED);
      run.set_epoch(static_cast<int64_t>(curve.size()));
      training.mutable_resolved_training()->set_epochs(
          static_cast<int64_t>(curves[0].size()));
      run.add_epochs()->set_epoch(0);
      for (const double accuracy : curve) {
        v1::EpochRecord& record = *run.add_epochs();
        record.set_epoch(run.epochs_size() - 1);
        if (!std::isnan(accuracy)) {
          record.mutable_measurement()->set_validation_accuracy(accuracy);
        }
        record.mutable_measurement()->set_test_accuracy(accuracy / 2);
        record.mutable_seconds()->set_train(2);
        record.mutable_seconds()->set_evaluate(0.5);
        record.mutable_seconds()->set_snapshot(9);
        record.set_manifest_digest(
            std::string(32, static_cast<char>(record.epoch())));
      }
      v1::Attempt& attempt = *run.add_attempts();
      attempt.set_worker("workers/a");
      attempt.set_slot("cpu:0");
    }
    return arm;
  }

  // Runs of 9 epochs that reach the target in those given, 10 for never, and
  // have the best accuracies given, in epoch 8.
  ReportArm& AddArm(const std::string& label, const std::vector<int64_t>& times,
                    const std::vector<double>& best) {
    std::vector<Curve> curves;
    for (size_t i = 0; i < times.size(); ++i) {
      Curve& curve = curves.emplace_back(9, 0.5);
      for (int64_t epoch = times[i]; epoch <= 9; ++epoch) {
        curve[epoch - 1] = 0.9;
      }
      curve[7] = best[i];
    }
    return AddArm(label, curves);
  }

  v1::ComparisonReport Make() {
    if (comparison_.seeds().empty()) {
      for (int64_t seed = 1; seed <= arms_[0].training.runs_size(); ++seed) {
        comparison_.add_seeds(seed);
      }
    }
    return MakeComparisonReport(comparison_, arms_);
  }
  v1::TrainingRun& Run(int arm, int run) {
    return *arms_[arm].training.mutable_runs(run);
  }

  v1::Comparison comparison_;
  std::vector<ReportArm> arms_;
};

TEST_F(ComparisonReportTest, ReadsRuns) {
  AddArm("random", std::vector<Curve>{{0.2, 0.9, kNan, 0.95, 0.95, 0.93},
                                      {0.1, 0.2, 0.3, 0.4, 0.5, 0.6}});
  AddArm("final", std::vector<Curve>{{0.9}, {0.91}}).start_epoch = 30;

  const v1::ComparisonReport report = Make();

  EXPECT_EQ(report.comparison().name(), "comparisons/1");
  ASSERT_EQ(report.arms_size(), 2);
  EXPECT_EQ(report.arms(0).label(), "random");
  EXPECT_EQ(report.arms(0).training(), "trainings/1");
  EXPECT_EQ(report.arms(0).training_spec().epochs(), 6);
  EXPECT_TRUE(report.arms(0).is_baseline());
  EXPECT_FALSE(report.arms(1).is_baseline());
  EXPECT_EQ(report.arms(1).start_epoch(), 30);
  const v1::ComparedRun& run = report.arms(0).runs(0);
  EXPECT_EQ(run.run(), "trainings/1/runs/1");
  EXPECT_EQ(run.seed(), 1);
  EXPECT_EQ(run.excluded_because(), "");
  EXPECT_THAT(run.accuracy(), ElementsAre(0.2, 0.9, IsNan(), 0.95, 0.95, 0.93));
  EXPECT_EQ(run.best(), 0.95);
  EXPECT_EQ(run.best_epoch(), 4);
  EXPECT_EQ(run.last(), 0.93);
  EXPECT_EQ(run.time_to_accuracy(), 2) << "0.9 is at least 0.9";
  EXPECT_EQ(run.seconds(), 15);
  EXPECT_EQ(run.device(), "cpu");
  EXPECT_THAT(run.manifest_digest(), testing::StartsWith("sha256:0606"));
  const v1::ComparedRun& slow = report.arms(0).runs(1);
  EXPECT_EQ(slow.device(), "cpu");
  EXPECT_FALSE(slow.has_time_to_accuracy());
}

TEST_F(ComparisonReportTest, DescribesArms) {
  AddArm("random", {4, 6, 8}, {0.91, 0.93, 0.95});
  AddArm("final", {2, 3, 10}, {0.94, 0.96, 0.89});

  const v1::ComparisonReport report = Make();

  const v1::ArmReport& random = report.arms(0);
  EXPECT_EQ(random.best().count(), 3);
  EXPECT_NEAR(random.best().mean(), 0.93, 1e-15);
  EXPECT_NEAR(random.best().standard_deviation(), 0.02, 1e-15);
  EXPECT_LT(random.best().low(), 0.93);
  EXPECT_GT(random.best().high(), 0.93);
  EXPECT_EQ(random.last().mean(), 0.9);
  EXPECT_EQ(random.time_to_accuracy().mean(), 6);
  EXPECT_EQ(random.speed_up(), 1);
  EXPECT_FALSE(random.has_best_comparison());
  const v1::ArmReport& final = report.arms(1);
  EXPECT_EQ(final.time_to_accuracy().count(), 2);
  EXPECT_EQ(final.time_to_accuracy().mean(), 2.5);
  EXPECT_EQ(final.not_reached_count(), 1);
  EXPECT_NEAR(final.speed_up(), 6 / 2.5, 1e-15);
  EXPECT_THAT(report.warnings(),
              Contains(HasSubstr("1 of 3 runs never reached 90 %")));
}

TEST_F(ComparisonReportTest, ComparesWithTheBaseline) {
  comparison_.set_baseline("random");
  AddArm("final", {2, 3, 5, 3}, {0.94, 0.96, 0.95, 0.97});
  AddArm("random", {4, 6, 6, 8}, {0.91, 0.93, 0.94, 0.92});
  AddArm("nio", {5, 6, 7, 7}, {0.93, 0.93, 0.92, 0.90});

  const v1::ComparisonReport report = Make();

  EXPECT_FALSE(report.arms(1).has_best_comparison());
  const v1::ArmComparison& best = report.arms(0).best_comparison();
  EXPECT_NEAR(best.difference(), 0.03, 1e-15);
  EXPECT_GT(best.low(), 0.01 - 1e-12);
  EXPECT_LT(best.high(), 0.05 + 1e-12);
  EXPECT_EQ(best.pair_count(), 4);
  // Differences 0.03, 0.03, 0.01, 0.05.
  EXPECT_NEAR(best.paired_t().statistic(), 0.03 / (0.0163299316 / 2), 1e-7);
  EXPECT_EQ(best.paired_t().degrees_of_freedom(), 3);
  EXPECT_EQ(best.mann_whitney().statistic(), 15.5);
  EXPECT_EQ(best.mann_whitney().method(), "exact, with ties by enumeration");
  EXPECT_NEAR(best.effect_size(), 15.5 / 16, 1e-15);
  // Holm: over both arms, each test and quantity by itself.
  const v1::ArmComparison& other = report.arms(2).best_comparison();
  EXPECT_GT(other.paired_t().p(), best.paired_t().p());
  EXPECT_EQ(best.paired_t().holm_p(), 2 * best.paired_t().p());
  EXPECT_EQ(other.paired_t().holm_p(), other.paired_t().p());
  EXPECT_EQ(report.arms(0).time_comparison().difference(), 3.25 - 6);
  EXPECT_EQ(report.arms(0).time_comparison().welch().holm_p(),
            2 * report.arms(0).time_comparison().welch().p());
  // All last accuracies are 0.9.
  EXPECT_EQ(report.arms(0).last_comparison().paired_t().p(), 1);
  EXPECT_EQ(report.arms(0).last_comparison().mann_whitney().p(), 1);
  EXPECT_THAT(report.warnings(),
              Contains(AllOf(HasSubstr("same last validation accuracy"),
                             HasSubstr("\"final\", \"random\", \"nio\""))));
}

TEST_F(ComparisonReportTest, PutsRunsThatNeverGotThereLast) {
  AddArm("random", {4, 10, 10, 8}, {0.91, 0.8, 0.8, 0.92});
  AddArm("final", {2, 3, 10, 3}, {0.94, 0.96, 0.8, 0.97});

  const v1::ComparisonReport report = Make();

  const v1::ArmComparison& time = report.arms(1).time_comparison();
  EXPECT_NEAR(time.difference(), 8.0 / 3 - 6, 1e-15);
  EXPECT_EQ(time.pair_count(), 2) << "seeds 1 and 4";
  EXPECT_EQ(time.paired_t().degrees_of_freedom(), 1);
  EXPECT_EQ(time.mann_whitney().statistic(), 3) << "two ties at the end";
  EXPECT_EQ(time.effect_size(), 3.0 / 16);
  EXPECT_THAT(time.mann_whitney().method(),
              HasSubstr("never reached the target rank behind"));
  EXPECT_THAT(report.summary(),
              HasSubstr("on average after 2.7 epochs (3 of 4 runs did) instead "
                        "of 6.0, 2.25 times sooner (Mann-Whitney p"));
}

TEST_F(ComparisonReportTest, HasNoTimesWithoutATarget) {
  comparison_.clear_target_accuracy();
  AddArm("random", {4, 5}, {0.91, 0.92});
  AddArm("final", {2, 3}, {0.94, 0.96});

  const v1::ComparisonReport report = Make();

  EXPECT_FALSE(report.arms(1).has_time_to_accuracy());
  EXPECT_FALSE(report.arms(1).has_speed_up());
  EXPECT_FALSE(report.arms(1).has_time_comparison());
  EXPECT_FALSE(report.arms(1).runs(0).has_time_to_accuracy());
  EXPECT_THAT(report.summary(), Not(HasSubstr("soon")));
  EXPECT_THAT(report.method(), Not(HasSubstr("Time")));
}

TEST_F(ComparisonReportTest, InventsNoTimes) {
  AddArm("random", {10, 10}, {0.81, 0.82});
  AddArm("final", {10, 10}, {0.84, 0.86});

  const v1::ComparisonReport report = Make();

  EXPECT_EQ(report.arms(1).time_to_accuracy().count(), 0);
  EXPECT_THAT(report.arms(1).time_to_accuracy().mean(), IsNan());
  EXPECT_EQ(report.arms(1).not_reached_count(), 2);
  EXPECT_FALSE(report.arms(1).has_speed_up());
  EXPECT_FALSE(report.arms(1).has_time_comparison());
  EXPECT_THAT(report.summary(), HasSubstr("No run reached 90 %."));
  EXPECT_THAT(report.warnings(),
              Contains(HasSubstr("\"final\": no run reached 90 %")));

  // Only the baseline never does: there is no mean to compare with, but ranks.
  arms_.pop_back();
  AddArm("final", {2, 3}, {0.84, 0.86});
  const v1::ComparisonReport half = Make();
  EXPECT_THAT(half.arms(1).time_comparison().difference(), IsNan());
  EXPECT_FALSE(half.arms(1).time_comparison().has_paired_t());
  EXPECT_FALSE(half.arms(1).time_comparison().has_welch());
  EXPECT_EQ(half.arms(1).time_comparison().mann_whitney().statistic(), 0);
  EXPECT_THAT(half.summary(), HasSubstr("no run of \"random\" did"));
}

TEST_F(ComparisonReportTest, SaysWhyRunsDoNotCount) {
  AddArm("random", {4, 5, 6, 7, 8}, {0.91, 0.92, 0.93, 0.94, 0.95});
  AddArm("final", {2, 3, 3, 4, 5}, {0.94, 0.96, 0.95, 0.94, 0.97});
  Run(1, 0).set_state(v1::TrainingRun::FAILED);
  Run(1, 0).mutable_failure()->set_message("out of memory.");
  Run(1, 1).set_state(v1::TrainingRun::INFEASIBLE);
  Run(1, 2).set_state(v1::TrainingRun::CANCELLED);
  Run(1, 3).set_state(v1::TrainingRun::TRAINING);
  Run(1, 3).set_epoch(3);
  Run(0, 4).clear_epochs();

  const v1::ComparisonReport report = Make();

  const auto& runs = report.arms(1).runs();
  EXPECT_EQ(runs[0].excluded_because(),
            "failed after epoch 9 of 9: out of memory");
  EXPECT_EQ(runs[1].excluded_because(), "infeasible after epoch 9 of 9");
  EXPECT_EQ(runs[2].excluded_because(), "cancelled after epoch 9 of 9");
  EXPECT_EQ(runs[3].excluded_because(), "not finished yet: epoch 3 of 9");
  EXPECT_EQ(runs[0].best(), 0.94) << "shown, but not counted";
  EXPECT_EQ(report.arms(0).runs(4).excluded_because(),
            "validation accuracy was never measured");
  EXPECT_EQ(report.arms(1).best().count(), 1);
  EXPECT_EQ(report.arms(1).best().mean(), 0.97);
  EXPECT_THAT(report.arms(1).best().standard_deviation(), IsNan());
  EXPECT_FALSE(report.arms(1).has_best_comparison());
  EXPECT_THAT(
      report.warnings(),
      AllOf(Contains(HasSubstr("Still running: 1 of 10 runs")),
            Contains("\"final\": trainings/2/runs/1 (seed 1) does not count: "
                     "failed after epoch 9 of 9: out of memory."),
            Contains("\"final\" has one run that counts: no tests.")));
  EXPECT_THAT(report.summary(), AllOf(HasSubstr("So far 9 of 10 runs are over"),
                                      HasSubstr("too few runs for a test")));
}

TEST_F(ComparisonReportTest, PairsBySeed) {
  AddArm("random", {4, 5, 6}, {0.91, 0.92, 0.93});
  AddArm("final", {3, 5, 4}, {0.94, 0.96, 0.97});
  Run(0, 0).set_state(v1::TrainingRun::FAILED);
  Run(1, 2).set_state(v1::TrainingRun::FAILED);

  const v1::ComparisonReport report = Make();

  const v1::ArmComparison& best = report.arms(1).best_comparison();
  EXPECT_EQ(best.pair_count(), 1);
  EXPECT_FALSE(best.has_paired_t());
  EXPECT_TRUE(best.has_welch());
  EXPECT_NEAR(best.difference(), 0.95 - 0.925, 1e-15);
  EXPECT_THAT(report.summary(), HasSubstr("Welch's t p"));
}

TEST_F(ComparisonReportTest, MakesNoTestsOfOneSeed) {
  AddArm("random", {4}, {0.91});
  AddArm("final", {2}, {0.94});

  const v1::ComparisonReport report = Make();

  EXPECT_FALSE(report.arms(1).has_best_comparison());
  EXPECT_EQ(report.arms(1).speed_up(), 2);
  EXPECT_THAT(report.arms(1).best().low(), IsNan());
  EXPECT_THAT(report.warnings(), Contains(HasSubstr("One seed")));
  EXPECT_EQ(report.summary(),
            "2 ways to start were trained with one seed and compared by "
            "validation accuracy. \"final\" reaches the highest validation "
            "accuracy, 94.00 % at its best epoch, 3.00 points more than "
            "\"random\" with 91.00 % (too few runs for a test). \"final\" "
            "reaches 90 % soonest, on average after 2.0 epochs instead of 4.0, "
            "2.00 times sooner (too few runs for a test). With one seed there "
            "is no test: any of these differences may be chance.");
}

TEST_F(ComparisonReportTest, MeasuresTheTestSetWhereAsked) {
  comparison_.set_metric(v1::Comparison::TEST_ACCURACY);
  AddArm("random", {4, 5}, {0.91, 0.92});
  AddArm("final", {2, 3}, {0.94, 0.96});

  const v1::ComparisonReport report = Make();

  EXPECT_NEAR(report.arms(1).best().mean(), 0.475, 1e-15);
  EXPECT_THAT(report.method(), HasSubstr("optimistic"));
}

TEST_F(ComparisonReportTest, WarnsOfWhatMisleads) {
  AddArm("random", {4, 5}, {0.91, 0.92});
  AddArm("longer", std::vector<Curve>(2, Curve(12, 0.91)));
  Run(1, 1).mutable_attempts(0)->set_slot("cuda:1");

  const v1::ComparisonReport report = Make();

  EXPECT_THAT(
      report.warnings(),
      AllOf(
          Contains(HasSubstr("12 epochs (\"longer\"); 9 epochs (\"random\")")),
          Contains(
              HasSubstr("cpu (\"random\", \"longer\"); cuda (\"longer\")")),
          Contains(HasSubstr("Mann-Whitney's p cannot be below 0.33")),
          Contains(AllOf(HasSubstr("same best validation accuracy in"),
                         HasSubstr("\"longer\"")))));
}

TEST_F(ComparisonReportTest, JudgesByRanksWhatHasNoSpread) {
  // Every run gains 0.02 and two epochs.
  AddArm("random", {4, 5, 6, 7}, {0.91, 0.92, 0.93, 0.94});
  AddArm("final", {2, 3, 4, 5}, {0.93, 0.94, 0.95, 0.96});

  const v1::ComparisonReport report = Make();

  EXPECT_TRUE(
      std::isinf(report.arms(1).best_comparison().paired_t().statistic()));
  EXPECT_EQ(report.arms(1).best_comparison().paired_t().p(), 0);
  EXPECT_THAT(report.summary(),
              AllOf(HasSubstr("(95 % interval 2.00 to 2.00; Welch's t p"),
                    Not(HasSubstr("paired"))));
}

TEST_F(ComparisonReportTest, CountsTheEpochsOfTheBestStart) {
  AddArm("random", {4, 5, 6, 7}, {0.91, 0.92, 0.93, 0.94});
  AddArm("final", {2, 3, 4, 4}, {0.93, 0.94, 0.95, 0.97}).start_epoch = 3;

  EXPECT_THAT(Make().summary(),
              AllOf(HasSubstr("Counting the epochs before, its runs had 12 in "
                              "all, those of \"random\" 9."),
                    HasSubstr("counting them it takes 6.2, \"random\" 5.5.")));
}

TEST_F(ComparisonReportTest, ConcludesInWords) {
  std::vector<int64_t> slow, fast;
  std::vector<double> low, high;
  for (int i = 0; i < 8; ++i) {
    slow.push_back(6 + i % 3);
    fast.push_back(2 + i % 2);
    low.push_back(0.91 + 0.002 * i);
    high.push_back(0.94 + 0.001 * (i * 5 % 8));
  }
  AddArm("random", slow, low);
  AddArm("epoch 5", fast, low).start_epoch = 5;
  AddArm("nio", slow, high);

  const v1::ComparisonReport report = Make();

  EXPECT_THAT(
      report.summary(),
      AllOf(
          HasSubstr("\"nio\" reaches the highest validation accuracy, 94.35 "
                    "% (mean of 8 runs at their best epochs), 2.65 points "
                    "more than \"random\" with 91.70 %"),
          HasSubstr("\"epoch 5\" reaches 90 % soonest, on average after 2.5 "
                    "epochs instead of 6.9, 2.75 times sooner (paired t p "
                    "< 0.0001, after Holm's correction for 2 arms < 0.0001: "
                    "significant). Its weights had been trained for 5 epochs "
                    "before; counting them it takes 7.5, \"random\" 6.9."),
          HasSubstr("in best validation accuracy \"nio\" (higher); in last "
                    "validation accuracy none; in time \"epoch 5\" (sooner).")))
      << report.summary();
  EXPECT_THAT(report.warnings(), Not(Contains(HasSubstr("Few runs"))));
  EXPECT_EQ(report.SerializeAsString(), Make().SerializeAsString());
}

TEST_F(ComparisonReportTest, IsHonestWhereNothingDiffers) {
  AddArm("random", {4, 5, 6, 7}, {0.91, 0.92, 0.95, 0.96});
  AddArm("final", {5, 4, 7, 6}, {0.92, 0.91, 0.94, 0.95});

  const v1::ComparisonReport report = Make();

  EXPECT_THAT(report.summary(),
              AllOf(HasSubstr("\"random\" reaches the highest"),
                    HasSubstr("the others are compared with it"),
                    HasSubstr("No arm differs significantly from \"random\" in "
                              "best or last validation accuracy or in time"),
                    HasSubstr("does not prove that they are equal")));
}

TEST_F(ComparisonReportTest, ReportsBeforeAnythingIsMeasured) {
  AddArm("random", std::vector<Curve>{{}, {}});
  AddArm("final", std::vector<Curve>{{}, {}});
  for (int arm : {0, 1}) {
    for (int run : {0, 1}) {
      Run(arm, run).set_state(v1::TrainingRun::WAITING);
    }
  }

  const v1::ComparisonReport report = Make();

  EXPECT_EQ(report.summary(),
            "2 ways to start were trained with the same 2 seeds each and "
            "compared by validation accuracy. So far 0 of 4 runs are over. No "
            "run counts yet.");
  EXPECT_THAT(report.warnings(),
              ElementsAre(HasSubstr("Still running: 4 of 4")));
  EXPECT_THAT(report.arms(0).runs(0).accuracy(), IsEmpty());
}

}  // namespace
}  // namespace headstart::scheduler
