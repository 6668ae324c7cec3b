#include "scheduler/report/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/random_stream.h"

namespace headstart::scheduler {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// "Epoch 25" and "Random" of the first experiment of "Deep Neural Network
// Weight Initialization from Hyperparameter Tuning Trials" (ICONIP 2024): best
// accuracies of eight runs, in percent.
const std::vector<double> kEpoch25 = {94.29, 94.44, 94.48, 94.38,
                                      94.34, 94.36, 94.41, 94.43};
const std::vector<double> kRandom = {94.28, 94.34, 94.14, 94.34,
                                     94.19, 94.27, 94.06, 94.23};

// The p of MannWhitney as its definition says: all choices of n values, one by
// one.
double EnumeratedP(Sample first, Sample second) {
  std::vector<double> all(first.begin(), first.end());
  all.insert(all.end(), second.begin(), second.end());
  const size_t n = first.size(), size = all.size();
  // Twice U - n m / 2 of the values that the bits choose.
  const auto distance = [&](uint32_t chosen) {
    int64_t doubled = 0;
    for (size_t i = 0; i < size; ++i) {
      if (!(chosen >> i & 1)) continue;
      for (size_t j = 0; j < size; ++j) {
        if (chosen >> j & 1) continue;
        doubled += all[i] > all[j] ? 2 : all[i] == all[j] ? 1 : 0;
      }
    }
    return std::abs(doubled - static_cast<int64_t>(n * (size - n)));
  };
  const int64_t observed = distance((1u << n) - 1);
  int64_t far = 0, count = 0;
  for (uint32_t chosen = 0; chosen < 1u << size; ++chosen) {
    if (static_cast<size_t>(__builtin_popcount(chosen)) != n) continue;
    ++count;
    far += distance(chosen) >= observed;
  }
  return static_cast<double>(far) / static_cast<double>(count);
}

TEST(StatisticsTest, DescribesSamples) {
  EXPECT_EQ(Mean({}), std::nullopt);
  EXPECT_EQ(SampleStandardDeviation({1.0}), std::nullopt);
  EXPECT_DOUBLE_EQ(*Mean({1.0, 2, 6}), 3);
  EXPECT_DOUBLE_EQ(*SampleStandardDeviation({1.0, 2, 6}), std::sqrt(7));
  // Equal values have exactly their own mean.
  EXPECT_EQ(Mean({0.1, 0.1, 0.1}), 0.1);
  EXPECT_EQ(SampleStandardDeviation({0.1, 0.1, 0.1}), 0);
  EXPECT_TRUE(HasSpread({0.9, 0.90001}));
  EXPECT_FALSE(HasSpread({0.1 + 0.2, 0.3}));
  EXPECT_FALSE(HasSpread({}));
}

TEST(StatisticsTest, HasThePublishedTests) {
  const TTest paired = *PairedT(kEpoch25, kRandom);
  EXPECT_NEAR(paired.t, 3.5215599, 5e-8);
  EXPECT_NEAR(paired.p, 0.00970728, 5e-9);
  EXPECT_EQ(paired.degrees_of_freedom, 7);

  const TTest welch = *WelchT(kEpoch25, kRandom);
  EXPECT_NEAR(welch.t, 3.92673, 5e-6);
  EXPECT_NEAR(welch.degrees_of_freedom, 11.7394, 5e-5);
  EXPECT_NEAR(welch.p, 0.0020941, 5e-8);

  const MannWhitneyTest exact = *MannWhitney(kRandom, kEpoch25);
  EXPECT_EQ(exact.u, 3);
  EXPECT_DOUBLE_EQ(exact.p, 14.0 / 12870);
  EXPECT_EQ(exact.method, kExactWithTies);
  EXPECT_EQ(MannWhitney(kEpoch25, kRandom)->u, 61);
  EXPECT_EQ(MannWhitney(kEpoch25, kRandom)->p, exact.p);
  EXPECT_NEAR(
      MannWhitneyNormal(kRandom, kEpoch25, ContinuityCorrection::kYes)->p,
      0.0026826, 5e-8);
  EXPECT_NEAR(
      MannWhitneyNormal(kRandom, kEpoch25, ContinuityCorrection::kNo)->p,
      0.0022536, 5e-8);
  EXPECT_DOUBLE_EQ(*VarghaDelaney(kEpoch25, kRandom), 61.0 / 64);
}

// Samples whose paired t and degrees of freedom are given.
std::optional<TTest> PairedWith(double t, int64_t degrees_of_freedom) {
  // Differences mean + d with d of mean 0 and standard deviation 1.
  const int64_t n = degrees_of_freedom + 1;
  std::vector<double> first(n), second(n, 0.0);
  std::iota(first.begin(), first.end(), 0.0);
  const double mean = *Mean(first), deviation = *SampleStandardDeviation(first);
  for (double& value : first) {
    value = (value - mean) / deviation + t / std::sqrt(n);
  }
  return PairedT(first, second);
}

TEST(StatisticsTest, KnowsStudentsDistribution) {
  EXPECT_NEAR(PairedWith(2, 5)->p, 0.1019395, 5e-8);
  EXPECT_NEAR(PairedWith(1, 1)->p, 0.5, 1e-12);
  EXPECT_NEAR(PairedWith(2.364624, 7)->p, 0.05, 5e-8);
  EXPECT_NEAR(PairedWith(-2.364624, 7)->p, 0.05, 5e-8);
  EXPECT_NEAR(PairedWith(0, 4)->p, 1, 1e-12);
  EXPECT_GT(PairedWith(60, 20)->p, 0);
}

TEST(StatisticsTest, MakesNoTestOfTooLittle) {
  EXPECT_EQ(PairedT({1.0}, {2.0}).has_value(), false);
  EXPECT_EQ(WelchT({1.0}, {2.0, 3}).has_value(), false);
  EXPECT_EQ(MannWhitney({1.0, 2}, {2.0}).has_value(), false);
  EXPECT_EQ(MannWhitney({}, {}).has_value(), false);
  EXPECT_EQ(VarghaDelaney({}, {1.0}), std::nullopt);
}

TEST(StatisticsTest, JudgesDifferencesWithoutSpread) {
  EXPECT_EQ(PairedT({1.0, 2, 3}, {1.0, 2, 3})->p, 1);
  EXPECT_EQ(PairedT({1.0, 2, 3}, {1.0, 2, 3})->t, 0);
  EXPECT_EQ(PairedT({0.1 + 0.2, 1}, {0.3, 1})->p, 1) << "only rounding";
  // Each gained 0.02, but for rounding.
  const TTest gained = *PairedT({0.93, 0.92, 0.97}, {0.91, 0.9, 0.95});
  EXPECT_EQ(gained.t, kInfinity);
  EXPECT_EQ(gained.p, 0);
  EXPECT_EQ(PairedT({10.0, 12}, {13.0, 15})->t, -kInfinity);
}

TEST(StatisticsTest, JudgesSamplesWithoutSpread) {
  EXPECT_EQ(WelchT({2.0, 2}, {2.0, 2, 2})->p, 1);
  const TTest apart = *WelchT({2.0, 2}, {3.0, 3, 3});
  EXPECT_EQ(apart.t, -kInfinity);
  EXPECT_EQ(apart.p, 0);
  EXPECT_EQ(apart.degrees_of_freedom, 3);
  // One of them has some: n - 1 of that one.
  const TTest half = *WelchT({2.0, 2}, {3.0, 4, 5});
  EXPECT_DOUBLE_EQ(half.degrees_of_freedom, 2);
  EXPECT_NEAR(half.t, -2 * std::sqrt(3), 1e-12);

  for (const MannWhitneyTest& constant :
       {*MannWhitney({5.0, 5, 5}, {5.0, 5}),
        *MannWhitneyNormal({5.0, 5, 5}, {5.0, 5}, ContinuityCorrection::kYes),
        *MannWhitneyNormal({5.0, 5, 5}, {5.0, 5}, ContinuityCorrection::kNo)}) {
    EXPECT_EQ(constant.u, 3);
    EXPECT_EQ(constant.p, 1);
  }
}

TEST(StatisticsTest, CountsEveryChoiceForMannWhitney) {
  RandomStream stream(20250101);
  for (int64_t n = 2; n <= 6; ++n) {
    for (int64_t m = 2; m <= 7; ++m) {
      for (const int64_t levels : {2, 3, 5, 1000000}) {
        std::vector<double> first(n), second(m);
        for (double& value : first) value = stream.UniformInt(levels);
        for (double& value : second) value = stream.UniformInt(levels);
        EXPECT_NEAR(MannWhitney(first, second)->p, EnumeratedP(first, second),
                    1e-14)
            << testing::PrintToString(first) << " and "
            << testing::PrintToString(second);
      }
    }
  }
}

TEST(StatisticsTest, SaysHowPWasFound) {
  EXPECT_EQ(MannWhitney({1.0, 2}, {3.0, 4})->method, kExact);
  EXPECT_DOUBLE_EQ(MannWhitney({1.0, 2}, {3.0, 4})->p, 2.0 / 6);
  EXPECT_EQ(MannWhitney({1.0, 2}, {2.0, 4})->method, kExactWithTies);
  // Where runs never get there.
  const MannWhitneyTest never =
      *MannWhitney({kInfinity, kInfinity}, {3.0, kInfinity});
  EXPECT_EQ(never.u, 3);
  EXPECT_EQ(never.p, EnumeratedP({9.0, 9}, {3.0, 9}));

  std::vector<double> many(kExactValuesMax / 2), others(kExactValuesMax / 2);
  std::iota(many.begin(), many.end(), 0.0);
  std::iota(others.begin(), others.end(), 11.5);
  const MannWhitneyTest exact = *MannWhitney(many, others);
  EXPECT_EQ(exact.method, kExact);
  EXPECT_NEAR(exact.p,
              MannWhitneyNormal(many, others, ContinuityCorrection::kYes)->p,
              1e-4);
  others.push_back(7.5);
  EXPECT_EQ(MannWhitney(many, others)->method, kNormal);
  EXPECT_LE(MannWhitney(many, others)->p, 1);
}

TEST(StatisticsTest, CorrectsForManyTests) {
  EXPECT_THAT(HolmCorrected({}), ElementsAre());
  EXPECT_THAT(HolmCorrected({0.03}), ElementsAre(0.03));
  // 3 * 0.01, 2 * 0.04, then no smaller; in the order given.
  EXPECT_THAT(HolmCorrected({0.05, 0.01, 0.04}),
              ElementsAre(DoubleNear(0.08, 1e-15), DoubleNear(0.03, 1e-15),
                          DoubleNear(0.08, 1e-15)));
  EXPECT_THAT(HolmCorrected({0.6, 0.7, 0}), ElementsAre(1, 1, 0));
}

TEST(StatisticsTest, BoundsMeans) {
  Bootstrap bootstrap;
  EXPECT_FALSE(bootstrap.OfMean({1.0}).has_value());
  EXPECT_FALSE(bootstrap.OfDifference({1.0}, {1.0, 2}).has_value());

  const Interval mean = *bootstrap.OfMean(kRandom);
  EXPECT_LT(mean.low, *Mean(kRandom));
  EXPECT_GT(mean.high, *Mean(kRandom));
  EXPECT_GE(mean.low, 94.06);
  EXPECT_LE(mean.high, 94.34);
  // About 2 * 1.96 standard errors of n, not n - 1, wide.
  const double error =
      *SampleStandardDeviation(kRandom) * std::sqrt(7.0 / 8) / std::sqrt(8.0);
  EXPECT_NEAR(mean.high - mean.low, 3.92 * error, 0.2 * error);

  // Pairs take out what both share.
  const std::vector<double> first = {1, 2, 3, 4, 5};
  const std::vector<double> second = {0.5, 1.6, 2.4, 3.5, 4.5};
  const Interval pairs = *bootstrap.OfPairedDifference(first, second);
  const Interval samples = *bootstrap.OfDifference(first, second);
  EXPECT_GT(pairs.low, 0.4);
  EXPECT_LT(pairs.high, 0.6);
  EXPECT_LT(samples.low, 0);
  EXPECT_GT(samples.high, 1);

  // Equal values: no width at all.
  EXPECT_EQ(bootstrap.OfMean({0.1, 0.1, 0.1})->low, 0.1);
  EXPECT_EQ(bootstrap.OfMean({0.1, 0.1, 0.1})->high, 0.1);
}

TEST(StatisticsTest, DrawsTheSameResamplesWhateverElseWasAsked) {
  Bootstrap used, fresh;
  used.OfMean({1.0, 2});
  used.OfDifference(kRandom, {1.0, 2, 3});
  EXPECT_EQ(used.OfDifference(kEpoch25, kRandom)->low,
            fresh.OfDifference(kEpoch25, kRandom)->low);
  EXPECT_EQ(used.OfMean(kEpoch25)->high, fresh.OfMean(kEpoch25)->high);
  // The two samples are drawn independently: drawn alike, a sample would never
  // differ from itself.
  EXPECT_LT(fresh.OfDifference(kRandom, kRandom)->low, 0);
}

}  // namespace
}  // namespace headstart::scheduler
