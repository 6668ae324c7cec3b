#include "client/report/number_text.h"

#include <limits>

#include "gtest/gtest.h"

namespace headstart::client {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

v1::Spread SpreadOf(int64_t count, double mean, double deviation) {
  v1::Spread spread;
  spread.set_count(count);
  spread.set_mean(mean);
  spread.set_standard_deviation(deviation);
  return spread;
}

TEST(NumberTextTest, ZeroHasNoMinus) {
  EXPECT_EQ(FixedText(-0.004, 2), "0.00");
  EXPECT_EQ(FixedText(-0.006, 2), "−0.01");
  EXPECT_EQ(FixedText(kNan, 2), "–");
}

TEST(NumberTextTest, DifferencesHaveASign) {
  EXPECT_EQ(PointsDigits(0.0016, 2), "+0.16");
  EXPECT_EQ(PointsDigits(-0.00034, 2), "−0.03");
  EXPECT_EQ(PointsDigits(0, 2), "+0.00");
  EXPECT_EQ(PointsDigits(kNan, 2), "–");
}

TEST(NumberTextTest, DecimalsFollowTheDeviation) {
  EXPECT_EQ(DecimalsFor(0.00061), 3);
  EXPECT_EQ(DecimalsFor(0.00115), 2);
  EXPECT_EQ(DecimalsFor(0.015), 1);
  EXPECT_EQ(DecimalsFor(0.3), 1);
  EXPECT_EQ(DecimalsFor(1e-9), 3);
  EXPECT_EQ(DecimalsFor(0), 2);
  EXPECT_EQ(DecimalsFor(kNan), 2);
}

TEST(NumberTextTest, TheArmThatScattersLeastDecides) {
  v1::ComparisonReport report;
  *report.add_arms()->mutable_best() = SpreadOf(8, 0.9, 0.02);
  *report.add_arms()->mutable_best() = SpreadOf(8, 0.9, 0.0006);
  *report.add_arms()->mutable_best() = SpreadOf(1, 0.9, kNan);
  *report.add_arms()->mutable_best() = SpreadOf(2, 0.9, 0);
  EXPECT_EQ(AccuracyDecimals(report), 3);
  EXPECT_EQ(AccuracyDecimals({}), 2);
}

TEST(NumberTextTest, SpreadsOfFewRunsShowWhatThereIs) {
  EXPECT_EQ(PercentSpread(SpreadOf(8, 0.94231, 0.00098), 3), "94.231 ± 0.098");
  EXPECT_EQ(PercentSpread(SpreadOf(1, 0.94231, kNan), 2), "94.23");
  EXPECT_EQ(PercentSpread(SpreadOf(0, kNan, kNan), 2), "–");
  EXPECT_EQ(EpochsSpread(SpreadOf(8, 14.375, 2.26)), "14.4 ± 2.3");
}

TEST(NumberTextTest, PValuesHaveTwoDigits) {
  EXPECT_EQ(PText(0.00970728), "p = 0.0097");
  EXPECT_EQ(PText(0.00001), "p < 0.0001");
  EXPECT_EQ(PText(0.032), "p = 0.032");
  EXPECT_EQ(PText(0.0998), "p = 0.10");
  EXPECT_EQ(PText(0.00997), "p = 0.010");
  EXPECT_EQ(PText(0.52), "p = 0.52");
  EXPECT_EQ(PText(1), "p = 1.00");
  EXPECT_EQ(PDigits(kNan), "–");
}

TEST(NumberTextTest, ExactTextReadsBackTheSame) {
  EXPECT_EQ(ExactText(0.1), "0.1");
  EXPECT_EQ(ExactText(0.0003), "0.0003");
  EXPECT_EQ(ExactText(0.0000003), "3e-07");
  EXPECT_EQ(ExactText(100000), "100000");
  EXPECT_EQ(ExactText(1.0 / 3), "0.3333333333333333");
  EXPECT_EQ(ExactText(kNan), "");
}

TEST(NumberTextTest, SecondsBecomeLargerUnits) {
  EXPECT_EQ(SecondsText(3.96), "4.0 s");
  EXPECT_EQ(SecondsText(740), "12 min 20 s");
  EXPECT_EQ(SecondsText(7500), "2 h 5 min");
  EXPECT_EQ(SecondsText(3 * 86400 + 4 * 3600), "3 d 4 h");
  EXPECT_EQ(SecondsText(kNan), "–");
}

TEST(NumberTextTest, AnInstantThatWasNeverSetIsEmpty) {
  google::protobuf::Timestamp time;
  EXPECT_EQ(MinuteText(time), "");
  time.set_seconds(1772373731);
  EXPECT_EQ(MinuteText(time), "2026-03-01 14:02 UTC");
}

}  // namespace
}  // namespace headstart::client
