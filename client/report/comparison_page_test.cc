#include "client/report/comparison_page.h"

#include <limits>
#include <string>

#include "client/report/comparison_figures.h"
#include "client/report/test_reports.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace headstart::client {
namespace {

using testing::AllOf;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::string PageOf(const v1::ComparisonReport& report) {
  const absl::StatusOr<std::string> page = ComparisonPage(report);
  EXPECT_THAT(page, IsOk());
  return page.value_or("");
}

TEST(ComparisonPageTest, SaysWhatCameOutBeforeAnythingElse) {
  v1::ComparisonReport report = MakeReport();
  report.add_warnings("A warning.");
  const std::string page = PageOf(report);

  EXPECT_THAT(page, HasSubstr("<h1>Which epoch is the best start?</h1>"));
  const size_t summary = page.find("Epoch 5 is 0.16 points above random.");
  const size_t warning = page.find("A warning.");
  EXPECT_LT(summary, warning);
  EXPECT_LT(warning, page.find("<table"));
  EXPECT_LT(warning, page.find("<svg"));
}

TEST(ComparisonPageTest, HasATableAsThePapers) {
  v1::ComparisonReport report = MakeReport();
  v1::Spread& best = *report.mutable_arms(1)->mutable_best();
  best.set_mean(0.94391);
  best.set_standard_deviation(0.00061);
  report.mutable_arms(1)->set_speed_up(2.026);
  const std::string page = PageOf(report);

  EXPECT_THAT(page, HasSubstr("random (baseline)"));
  EXPECT_THAT(page, HasSubstr("94.391 ± 0.061"));
  EXPECT_THAT(page, HasSubstr(">2.03<"));
  EXPECT_THAT(page, HasSubstr("time in all"));
}

TEST(ComparisonPageTest, EveryTestIsThereWithItsCorrection) {
  const std::string page = PageOf(MakeReport());

  EXPECT_THAT(page, AllOf(HasSubstr("paired t"), HasSubstr("Welch’s t"),
                          HasSubstr("Mann–Whitney")));
  EXPECT_THAT(page, HasSubstr(">0.0097<"));
  EXPECT_THAT(page, HasSubstr(">0.019<"));
  EXPECT_THAT(page, HasSubstr(">&lt; 0.0001<"));
  EXPECT_THAT(page, HasSubstr(">0.95<"));
  EXPECT_THAT(page, HasSubstr("+0.160"));
  EXPECT_THAT(page, HasSubstr("−9.2"));
}

TEST(ComparisonPageTest, SaysWhatRunsWereTrainedWith) {
  const v1::ComparisonReport report = MakeReport();
  EXPECT_THAT(PageOf(report), Not(HasSubstr("trained with")));

  v1::Environment cpu;
  cpu.set_library("libtorch 2.11.0");
  cpu.set_device("cpu x86-64 <avx512>");
  cpu.set_thread_count(1);
  v1::Environment gpu = cpu;
  gpu.set_device("NVIDIA H200");
  const absl::StatusOr<std::string> page =
      ComparisonPage(report, {cpu, gpu, cpu});
  ASSERT_THAT(page, IsOk());
  EXPECT_THAT(*page, HasSubstr(">libtorch 2.11.0<"));
  EXPECT_THAT(*page, HasSubstr("NVIDIA H200, 1 thread; cpu x86-64 "
                               "&lt;avx512&gt;, 1 thread<"));
}

TEST(ComparisonPageTest, NothingThatPeopleWriteBecomesMarkup) {
  constexpr char kHostile[] = "<script>alert('x')</script>";
  v1::ComparisonReport report = MakeReport();
  report.mutable_comparison()->set_display_name(kHostile);
  report.mutable_comparison()->set_state(v1::Comparison::FAILED);
  report.mutable_comparison()->set_state_message(kHostile);
  report.mutable_comparison()->mutable_arms(0)->set_label(kHostile);
  report.set_summary(kHostile);
  report.add_warnings(kHostile);
  report.set_method(kHostile);
  report.mutable_arms(0)->set_label(kHostile);
  report.mutable_arms(1)->set_label("\"><img src=x onerror=alert(1)>");
  v1::ComparedRun& run = *report.mutable_arms(1)->mutable_runs(0);
  run.set_excluded_because(kHostile);
  run.set_device(kHostile);
  run.set_run(kHostile);
  run.set_manifest_digest(kHostile);
  const std::string page = PageOf(report);

  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;"));
}

TEST(ComparisonPageTest, AnEmptyReportIsAPage) {
  const std::string page = PageOf({});

  EXPECT_THAT(page, HasSubstr("<h1>Comparison</h1>"));
  EXPECT_THAT(page, HasSubstr("nothing to report yet"));
  EXPECT_THAT(page, Not(HasSubstr("nan")));
}

TEST(ComparisonPageTest, ARunningComparisonWithoutEpochsIsAPage) {
  v1::ComparisonReport report = MakeReport({.epochs = 0});
  report.mutable_comparison()->set_state(v1::Comparison::RUNNING);
  const std::string page = PageOf(report);

  EXPECT_THAT(page, HasSubstr("still running"));
  EXPECT_THAT(page, HasSubstr("No run reached 90 %."));
}

TEST(ComparisonPageTest, OneSeedHasNoDeviationsAndNoTests) {
  const std::string page = PageOf(MakeReport({.seeds = 1}));

  EXPECT_THAT(page, HasSubstr("No arm can be compared with the baseline"));
  EXPECT_THAT(page, HasSubstr("1 seed."));
  EXPECT_THAT(page, Not(HasSubstr("± nan")));
  EXPECT_THAT(page, Not(HasSubstr("± –")));
}

TEST(ComparisonPageTest, WithoutTargetThereAreNoTimes) {
  const std::string page = PageOf(MakeReport({.target = 0}));

  EXPECT_THAT(page, HasSubstr("No target accuracy was set"));
  EXPECT_THAT(page, Not(HasSubstr("speed-up</abbr>")));
}

TEST(ComparisonPageTest, ATargetThatSomeRunsMissIsCounted) {
  v1::ComparisonReport report = MakeReport();
  report.mutable_arms(1)->mutable_runs(0)->clear_time_to_accuracy();
  FillSpreads(report.mutable_arms(1));
  EXPECT_THAT(PageOf(report), HasSubstr("(1 never)"));
}

TEST(ComparisonPageTest, AFailedRunIsShownAndDoesNotCount) {
  v1::ComparisonReport report = MakeReport();
  FailARun(&report);
  const std::string page = PageOf(report);

  EXPECT_THAT(page, HasSubstr("FAILED at epoch 3: out of memory"));
  EXPECT_THAT(page, HasSubstr(">3 of 4<"));
  EXPECT_THAT(page, HasSubstr("left out because"));
}

TEST(ComparisonPageTest, FieldsThatAllArmsShareAreListedOnce) {
  v1::ComparisonReport report = MakeReport();
  report.mutable_arms(2)
      ->mutable_training_spec()
      ->mutable_optimizer()
      ->mutable_sgd()
      ->set_learning_rate(0.5);
  const std::string page = PageOf(report);

  EXPECT_THAT(page, HasSubstr("<th scope=\"row\" class=\"text\">optimizer.sgd."
                              "learning_rate</th>"
                              "<td>0.0003</td>"
                              "<td>random, epoch 5</td>"));
  EXPECT_THAT(page, HasSubstr("<th scope=\"row\">epochs</th>"
                              "<td>40</td></tr>"));
}

TEST(ComparisonPageTest, HoldsItsDataAndTheFileThatRepeatsIt) {
  const std::string page = PageOf(MakeReport());

  EXPECT_THAT(page, HasSubstr("download=\"runs.csv\""));
  EXPECT_THAT(page, HasSubstr("download=\"epochs.csv\""));
  EXPECT_THAT(page, HasSubstr("download=\"specs.yaml\""));
  EXPECT_THAT(page, HasSubstr("download=\"comparison.yaml\""));
  EXPECT_THAT(page, HasSubstr("headstart comparisons create -f"));
}

TEST(ComparisonPageTest, TheFileLeavesOutWhatTheSchedulerAdds) {
  EXPECT_EQ(ComparisonFile(MakeReport().comparison()),
            R"(display_name: "Which epoch is the best start?"
study: studies/1
seeds: [1001, 2001, 3001, 4001]
metric: TEST_ACCURACY
target_accuracy: 0.9
arms:
  - label: random
    initializer:
      xavier_normal: {}
  - label: "epoch 5"
    epochs: [5]
  - label: "epoch 10"
    epochs: [10]
baseline: random
)");
}

TEST(ComparisonPageTest, EqualReportsGiveEqualBytes) {
  EXPECT_EQ(PageOf(MakeReport()), PageOf(MakeReport()));
}

// As many runs as all five experiments of the paper together.
TEST(ComparisonPageTest, TwoHundredLongRunsStayBelowThreeMegabytes) {
  const std::string page =
      PageOf(MakeReport({.arms = 29, .seeds = 8, .epochs = 200}));

  EXPECT_LT(page.size(), 3'000'000);
  EXPECT_THAT(page, HasSubstr("download=\"epochs.csv\""));
}

TEST(ComparisonPageTest, TheLargestComparisonIsStillAPage) {
  const std::string page =
      PageOf(MakeReport({.arms = 50, .seeds = 200, .epochs = 20}));

  EXPECT_LT(page.size(), 6'000'000);
  EXPECT_THAT(page, HasSubstr("and 9500 more"));
}

// ---------------------------------------------------------------- figures

v1::ArmReport ArmOf(const std::vector<std::vector<double>>& runs) {
  v1::ArmReport arm;
  for (const std::vector<double>& accuracy : runs) {
    v1::ComparedRun& run = *arm.add_runs();
    run.set_seed(arm.runs_size());
    run.mutable_accuracy()->Add(accuracy.begin(), accuracy.end());
  }
  return arm;
}

TEST(ComparisonFiguresTest, ACurveIsMeanAndDeviation) {
  const Curve curve = AccuracyCurve(ArmOf({{0.5, 0.7}, {0.6, 0.9}}), 100);

  EXPECT_THAT(curve.epochs, ElementsAre(1, 2));
  EXPECT_THAT(curve.mean,
              ElementsAre(DoubleNear(55, 1e-9), DoubleNear(80, 1e-9)));
  EXPECT_NEAR(curve.high[0], 55 + std::sqrt(50), 1e-9);
  EXPECT_NEAR(curve.low[1], 80 - std::sqrt(200), 1e-9);
}

TEST(ComparisonFiguresTest, OneRunHasNoBand) {
  const Curve curve = AccuracyCurve(ArmOf({{0.5, 0.7}}), 100);

  EXPECT_THAT(curve.mean, SizeIs(2));
  EXPECT_THAT(curve.low, IsEmpty());
}

TEST(ComparisonFiguresTest, AMeanOfFewerThanHalfTheRunsIsNotDrawn) {
  const Curve curve =
      AccuracyCurve(ArmOf({{0.5, 0.7}, {0.6}, {0.6, kNan}}), 100);

  EXPECT_NEAR(curve.mean[0], 170.0 / 3, 1e-9);
  EXPECT_TRUE(std::isnan(curve.mean[1]));
}

TEST(ComparisonFiguresTest, RunsThatDoNotCountAreNotDrawn) {
  v1::ArmReport arm = ArmOf({{0.5}, {0.1, 0.1, 0.1}});
  arm.mutable_runs(1)->set_excluded_because("FAILED");
  const Curve curve = AccuracyCurve(arm, 100);

  EXPECT_THAT(curve.mean, ElementsAre(DoubleNear(50, 1e-9)));
}

TEST(ComparisonFiguresTest, ThinningKeepsTheLastEpoch) {
  const Curve curve =
      AccuracyCurve(ArmOf({std::vector<double>(1001, 0.5)}), 100);

  EXPECT_LE(curve.epochs.size(), 101);
  EXPECT_EQ(curve.epochs.back(), 1001);
}

TEST(ComparisonFiguresTest, DifferencesPairRunsOfEqualSeed) {
  v1::ArmReport arm = ArmOf({{0.5}, {0.8}, {0.9}});
  v1::ArmReport baseline = ArmOf({{0.7}, {0.4}});
  baseline.mutable_runs(0)->set_seed(2);
  baseline.mutable_runs(1)->set_seed(1);
  const Curve curve = DifferenceCurve(arm, baseline, 100);

  EXPECT_THAT(curve.mean, ElementsAre(DoubleNear(10, 1e-9)));
  EXPECT_NEAR(curve.low[0], 10, 1e-9);
}

TEST(ComparisonFiguresTest, ManyArmsGetNoPanelEach) {
  EXPECT_THAT(DifferencesFigure(MakeReport({.arms = 16})).panels, SizeIs(15));
  EXPECT_THAT(DifferencesFigure(MakeReport({.arms = 17})).panels, IsEmpty());
}

}  // namespace
}  // namespace headstart::client
