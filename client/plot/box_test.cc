#include "client/plot/box.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace headstart::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(BoxTest, InterpolatesQuartilesByTypeSeven) {
  // By hand: of 1, 2, 4, 7, 11, 16 the ranks are 1.25, 2.5 and 3.75.
  const Box box = BoxOf({7, 1, 16, 2, 11, 4});

  EXPECT_DOUBLE_EQ(box.quartile_low, 2 + 0.25 * 2);
  EXPECT_DOUBLE_EQ(box.median, 4 + 0.5 * 3);
  EXPECT_DOUBLE_EQ(box.quartile_high, 7 + 0.75 * 4);
  EXPECT_EQ(box.whisker_low, 1);
  EXPECT_EQ(box.whisker_high, 16);
  EXPECT_EQ(box.sample_count, 6);
}

TEST(BoxTest, TakesSamplesThatLieOnARank) {
  const Box box = BoxOf({5, 4, 3, 2, 1});

  EXPECT_EQ(box.quartile_low, 2);
  EXPECT_EQ(box.median, 3);
  EXPECT_EQ(box.quartile_high, 4);
}

TEST(BoxTest, EndsWhiskersAtTheFarthestSampleWithinReach) {
  // Quartiles 2 and 4: the reach is 3, so 7 is the last that is within.
  const Box box = BoxOf({2, 2, 3, 4, 4, -1.5, 7});

  EXPECT_EQ(box.quartile_low, 2);
  EXPECT_EQ(box.quartile_high, 4);
  EXPECT_EQ(box.whisker_low, 2);
  EXPECT_EQ(box.whisker_high, 7);
  EXPECT_THAT(box.outliers, ElementsAre(-1.5));
}

TEST(BoxTest, NeverEndsAWhiskerInsideTheBox) {
  // The upper quartile 25.75 is interpolated; 100 is beyond its reach, and the
  // farthest sample within is below the quartile.
  const Box box = BoxOf({1, 1, 1, 100});

  EXPECT_DOUBLE_EQ(box.quartile_high, 25.75);
  EXPECT_EQ(box.whisker_high, box.quartile_high);
  EXPECT_THAT(box.outliers, ElementsAre(100));
}

TEST(BoxTest, OfOneSampleIsThatSample) {
  const Box box = BoxOf({3.5});

  EXPECT_EQ(box.whisker_low, 3.5);
  EXPECT_EQ(box.median, 3.5);
  EXPECT_EQ(box.whisker_high, 3.5);
  EXPECT_THAT(box.outliers, IsEmpty());
}

TEST(BoxTest, LeavesMissingSamplesOutAndKeepsInfiniteOnesAsOutliers) {
  const Box box = BoxOf({kNan, 1, kInfinity, 2, 3});

  EXPECT_EQ(box.median, 2);
  EXPECT_THAT(box.outliers, ElementsAre(kInfinity));
  EXPECT_EQ(box.sample_count, 4);
}

TEST(BoxTest, OfNothingHasNoNumbers) {
  EXPECT_TRUE(std::isnan(BoxOf({}).median));
  EXPECT_TRUE(std::isnan(BoxOf({kNan}).median));
  EXPECT_EQ(BoxOf({kNan}).sample_count, 0);
}

}  // namespace
}  // namespace headstart::client
