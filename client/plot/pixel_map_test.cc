#include "client/plot/pixel_map.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace headstart::client {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(PixelMapTest, MapsLinearly) {
  const PixelMap map({}, {0, 10}, 100, 200);

  EXPECT_EQ(map(0), 100);
  EXPECT_EQ(map(2.5), 125);
  EXPECT_EQ(map(10), 200);
}

TEST(PixelMapTest, MapsLogarithmically) {
  const PixelMap map({.scale = Scale::kLog}, {0.01, 100}, 0, 400);

  EXPECT_DOUBLE_EQ(map(0.01), 0);
  EXPECT_DOUBLE_EQ(map(1), 200);
  EXPECT_DOUBLE_EQ(map(10), 300);
  EXPECT_NEAR(map(2), 200 + 100 * std::log10(2), 1e-9);
}

TEST(PixelMapTest, TurnsAReversedAxisAround) {
  // From 100 % on the left to 1 % on the right.
  const PixelMap map({.scale = Scale::kLog, .reversed = true}, {1, 100}, 50,
                     250);

  EXPECT_DOUBLE_EQ(map(100), 50);
  EXPECT_DOUBLE_EQ(map(10), 150);
  EXPECT_DOUBLE_EQ(map(1), 250);
}

TEST(PixelMapTest, KeepsFarValuesWithinWhatRenderersTake) {
  const PixelMap map({}, {0, 1}, 0, 100);

  EXPECT_GT(map(1e99), 1000);
  EXPECT_LT(map(1e99), 1e5);
  EXPECT_GT(map(-1e99), -1e5);
}

TEST(PixelMapTest, PutsWhatItCannotShowAtItsEdge) {
  const PixelMap map({.scale = Scale::kLog}, {1, 100}, 300, 100);

  EXPECT_EQ(map.OrEdge(0), 300);
  EXPECT_EQ(map.OrEdge(-5), 300);
  EXPECT_EQ(map.OrEdge(kInfinity), 100);
  EXPECT_DOUBLE_EQ(map.OrEdge(10), 200);
}

TEST(PixelMapTest, KnowsWhatItShows) {
  const PixelMap map({}, {0, 1}, 0, 100);

  EXPECT_TRUE(map.Shows(0));
  EXPECT_TRUE(map.Shows(1));
  EXPECT_FALSE(map.Shows(1.01));
  EXPECT_FALSE(map.Shows(-0.01));
}

TEST(FitnessTest, SaysWhyAValueIsNotDrawn) {
  EXPECT_EQ(FitnessOf(0, Scale::kLinear), Fitness::kDrawable);
  EXPECT_EQ(FitnessOf(0, Scale::kLog), Fitness::kNotAboveZero);
  EXPECT_EQ(FitnessOf(-1, Scale::kLog), Fitness::kNotAboveZero);
  EXPECT_EQ(FitnessOf(kNan, Scale::kLog), Fitness::kMissing);
  EXPECT_EQ(FitnessOf(-kInfinity, Scale::kLog), Fitness::kInfinite);
  EXPECT_EQ(FitnessOf(1e200, Scale::kLinear), Fitness::kInfinite);
}

Extent Of(std::initializer_list<double> values, Scale scale = Scale::kLinear) {
  Extent extent;
  for (double value : values) {
    extent.Add(value, scale);
  }
  return extent;
}

TEST(ShownRangeTest, LeavesRoomBeyondTheValues) {
  const Extent range = ShownRange({}, Of({10, kNan, 20, kInfinity}), 0.05);

  EXPECT_DOUBLE_EQ(range.low, 9.5);
  EXPECT_DOUBLE_EQ(range.high, 20.5);
}

TEST(ShownRangeTest, LeavesRoomOnALogAxisByFactors) {
  const Axis axis = {.scale = Scale::kLog};

  const Extent range = ShownRange(axis, Of({0, 1, 100}, Scale::kLog), 0.05);

  EXPECT_NEAR(range.low, std::pow(10, -0.1), 1e-12);
  EXPECT_NEAR(range.high, std::pow(10, 2.1), 1e-9);
}

TEST(ShownRangeTest, ShowsNothingNegativeWhereNothingIs) {
  EXPECT_EQ(ShownRange({}, Of({0.1, 10}), 0.05).low, 0);
  EXPECT_LT(ShownRange({}, Of({-1, 10}), 0.05).low, -1);
}

TEST(ShownRangeTest, TakesTheAxisEnds) {
  const Extent range = ShownRange({.min = 5, .max = 7}, Of({0, 10}), 0.05);

  EXPECT_EQ(range.low, 5);
  EXPECT_EQ(range.high, 7);
}

TEST(ShownRangeTest, IsNeverEmpty) {
  for (const Axis& axis :
       {Axis{}, Axis{.scale = Scale::kLog}, Axis{.min = 50}, Axis{.max = -50},
        Axis{.scale = Scale::kLog, .min = 1e9},
        Axis{.scale = Scale::kLog, .max = 1e-9}}) {
    for (double value : {kNan, 0.0, 1.0, -3.0, 1e-99, 5e-324, 1e99, 0.1}) {
      const Extent range = ShownRange(axis, Of({value}, axis.scale), 0.05);

      EXPECT_LT(range.low, range.high) << value;
      EXPECT_TRUE(std::isfinite(range.high - range.low)) << value;
    }
  }
}

TEST(ShownRangeTest, StandsBarsOnZero) {
  Extent values = Of({0, 10});
  values.touches = true;

  EXPECT_EQ(ShownRange({}, values, 0.05).low, 0);
  EXPECT_DOUBLE_EQ(ShownRange({}, values, 0.05).high, 10.5);
}

TEST(ShownRangeTest, GivesCategoriesEqualRoom) {
  const Extent range =
      ShownRange({.categories = {"a", "b", "c"}}, Of({17}), 0.05);

  EXPECT_EQ(range.low, -0.5);
  EXPECT_EQ(range.high, 2.5);
}

}  // namespace
}  // namespace headstart::client
