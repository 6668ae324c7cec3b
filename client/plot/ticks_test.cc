#include "client/plot/ticks.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace headstart::client {
namespace {

using testing::Each;
using testing::IsEmpty;
using testing::Not;

// The labels, in a row; ticks without one are left out.
std::string Labels(const std::vector<Tick>& ticks) {
  std::vector<std::string> labels;
  for (const Tick& tick : ticks) {
    if (!tick.label.empty()) {
      labels.push_back(tick.label);
    }
  }
  return absl::StrJoin(labels, " ");
}

struct TickCase {
  double low;
  double high;
  int count;
  std::string labels;
};

TEST(LinearTicksTest, LieAtOneTwoAndFiveTimesPowersOfTen) {
  const TickCase cases[] = {
      {0, 10, 5, "0 2 4 6 8 10"},
      {0, 1, 5, "0.0 0.2 0.4 0.6 0.8 1.0"},
      {0.3, 0.55, 5, "0.30 0.35 0.40 0.45 0.50 0.55"},
      {-7, 8, 3, "−5 0 5"},
      {-0.3, 0.3, 6, "−0.3 −0.2 −0.1 0.0 0.1 0.2 0.3"},
      {97.13, 98.04, 5, "97.2 97.4 97.6 97.8 98.0"},
      {0, 60000, 4, "0 20,000 40,000 60,000"},
      {9000, 12000, 3, "9000 10,000 11,000 12,000"},
      {0, 4e7, 4, "0 1e7 2e7 3e7 4e7"},
      {1.1e9, 1.15e9, 5, "1.1e9 1.11e9 1.12e9 1.13e9 1.14e9 1.15e9"},
      {0, 3e-6, 3, "0 1e−6 2e−6 3e−6"},
      {-2e-9, 0, 2, "−2e−9 −1e−9 0"},
  };
  for (const TickCase& test : cases) {
    EXPECT_EQ(Labels(LinearTicks(test.low, test.high, test.count, false)),
              test.labels);
  }
}

TEST(LinearTicksTest, StayAtWholeNumbersWhereThereIsNothingBetween) {
  EXPECT_EQ(Labels(LinearTicks(0, 3, 6, true)), "0 1 2 3");
  EXPECT_EQ(Labels(LinearTicks(0, 3, 6, false)), "0.0 0.5 1.0 1.5 2.0 2.5 3.0");
}

TEST(LogTicksTest, LieAtPowersOfTenAndBetweenWhereThereIsRoom) {
  const TickCase cases[] = {
      {1e-4, 0.1, 5, "0.0001 0.001 0.01 0.1"},
      {1e-6, 1e-3, 5, "1e−6 1e−5 0.0001 0.001"},
      {0.05, 3, 8, "0.05 0.1 0.2 0.5 1 2"},
      {1, 1e8, 3, "1 1000 1e6"},
      {2e4, 5e6, 4, "100,000 1e6"},
      {1e-12, 1e12, 4, "1e−12 1e−6 1 1e6 1e12"},
  };
  for (const TickCase& test : cases) {
    EXPECT_EQ(Labels(LogTicks(test.low, test.high, test.count)), test.labels);
  }
}

TEST(LogTicksTest, AreLinearWithinADecade) {
  EXPECT_EQ(Labels(LogTicks(0.31, 0.78, 5)), "0.4 0.5 0.6 0.7");
}

TEST(LogTicksTest, MarkTheOtherDigitsWithoutLabel) {
  const std::vector<Tick> ticks = LogTicks(1, 100, 4);

  EXPECT_EQ(Labels(ticks), "1 10 100");
  EXPECT_EQ(ticks.size(), 19);  // 1 to 9, 10 to 90, 100.
}

TEST(TicksTest, StayInRangeAndBelowTheirCount) {
  for (double low : {-1e12, -3.7, 0.0, 1e-12, 0.0173, 5.0, 99.99, 1e9}) {
    for (double size : {1e-3, 0.7, 1.0, 42.0, 1e6}) {
      const double high = low + size * std::max(1.0, std::abs(low));
      for (int count = 3; count <= 12; ++count) {
        const std::vector<Tick> ticks = LinearTicks(low, high, count, false);

        EXPECT_LE(ticks.size(), count + 1);
        EXPECT_THAT(ticks, Not(IsEmpty())) << low << " to " << high;
        EXPECT_THAT(
            ticks,
            Each(testing::Field(
                &Tick::value,
                testing::AllOf(testing::Ge(low - 1e-5 * (high - low)),
                               testing::Le(high + 1e-5 * (high - low))))));
      }
    }
  }
}

TEST(NumberTextTest, HasFiveDigitsAndNoNoise) {
  EXPECT_EQ(NumberText(0), "0");
  EXPECT_EQ(NumberText(-0.0), "0");
  EXPECT_EQ(NumberText(0.1 + 0.2), "0.3");
  EXPECT_EQ(NumberText(97.31239), "97.312");
  EXPECT_EQ(NumberText(-1.5), "−1.5");
  EXPECT_EQ(NumberText(1234.5), "1234.5");
  EXPECT_EQ(NumberText(12345.67), "12,346");
  EXPECT_EQ(NumberText(1234567), "1,234,567");
  EXPECT_EQ(NumberText(25e6), "2.5e7");
  EXPECT_EQ(NumberText(0.0012), "0.0012");
  EXPECT_EQ(NumberText(0.0001), "0.0001");
  EXPECT_EQ(NumberText(0.000012), "1.2e−5");
  EXPECT_EQ(NumberText(std::nan("")), "NaN");
  EXPECT_EQ(NumberText(-INFINITY), "−infinite");
}

}  // namespace
}  // namespace headstart::client
