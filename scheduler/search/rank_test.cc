#include "scheduler/search/rank.h"

#include <algorithm>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "scheduler/search/ranked_set.h"

namespace headstart::scheduler {
namespace {

TEST(RankTest, OrdersFiniteFirstThenLossThenTrial) {
  const double inf = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Rank> best_first = {
      Rank::Of(-1, 9),  Rank::Of(0.5, 2),  Rank::Of(0.5, 3), Rank::Of(2, 1),
      Rank::Of(nan, 4), Rank::Of(-inf, 5), Rank::Worst(6),   Rank::Of(inf, 7)};

  std::vector<Rank> shuffled(best_first.rbegin(), best_first.rend());
  std::sort(shuffled.begin(), shuffled.end());

  EXPECT_EQ(shuffled, best_first);
}

TEST(RankTest, PutsTheHigherRungFirst) {
  const Standing deep{.rungs_missed = 0, .rank = Rank::Of(9, 1)};
  const Standing shallow{.rungs_missed = 1, .rank = Rank::Of(1, 2)};
  EXPECT_LT(deep, shallow);
}

TEST(RankTest, TurnsAnAccuracyIntoALoss) {
  v1::Objective objective;
  objective.set_metric(v1::Objective::VALIDATION_ACCURACY);
  objective.set_goal(v1::Objective::MAXIMIZE);
  v1::Measurement measurement;
  EXPECT_FALSE(HasObjective(objective, measurement));
  measurement.set_validation_accuracy(0.9);
  EXPECT_TRUE(HasObjective(objective, measurement));
  EXPECT_EQ(LossOf(objective, ObjectiveOf(objective, measurement)), -0.9);
  objective.set_goal(v1::Objective::MINIMIZE);
  EXPECT_EQ(LossOf(objective, ObjectiveOf(objective, measurement)), 0.9);
}

TEST(RankedSetTest, KnowsPlaces) {
  RankedSet set;
  for (int64_t trial = 100; trial >= 1; --trial) {
    set.Insert(Rank::Of(static_cast<double>(trial), trial));
  }
  EXPECT_EQ(set.Best().trial, 1);
  EXPECT_EQ(set.Worst().trial, 100);
  EXPECT_EQ(set.At(37).trial, 37);
  EXPECT_EQ(set.PlaceOf(Rank::Of(37.5, 0)), 38);

  set.Erase(Rank::Of(1, 1));

  EXPECT_EQ(set.size(), 99);
  EXPECT_EQ(set.PlaceOf(Rank::Of(37, 37)), 36);
  EXPECT_FALSE(set.Contains(Rank::Of(1, 1)));
}

}  // namespace
}  // namespace headstart::scheduler
