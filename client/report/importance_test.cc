#include "client/report/importance.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace headstart::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST(ImportanceTest, EqualValuesShareTheirRanks) {
  EXPECT_THAT(MidRanks({3, 1, 3, 2}), ElementsAre(3.5, 1, 3.5, 2));
  EXPECT_THAT(MidRanks({}), IsEmpty());
}

// R: cor(c(1,2,3,4,5), c(2,1,4,3,7), method = "spearman").
TEST(ImportanceTest, RankCorrelationIsSpearmans) {
  EXPECT_NEAR(RankCorrelation({1, 2, 3, 4, 5}, {2, 1, 4, 3, 7}), 0.8, 1e-12);
  EXPECT_NEAR(RankCorrelation({1, 2, 3}, {10, 5, 0.1}), -1, 1e-12);
  EXPECT_TRUE(std::isnan(RankCorrelation({1, 1}, {1, 2})));
  EXPECT_TRUE(std::isnan(RankCorrelation({}, {})));
}

// Hollander and Wolfe (1973), page 116, as in R's help of kruskal.test: groups
// of 5, 4 and 5 with H = 0.7714, so H / 13.
TEST(ImportanceTest, VarianceBetweenGroupsIsKruskalAndWalliss) {
  EXPECT_NEAR(RankVarianceBetween({2.9, 3.0, 2.5, 2.6, 3.2, 3.8, 2.7, 4.0, 2.4,
                                   2.8, 3.4, 3.7, 2.2, 2.0},
                                  {0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2}),
              0.77143 / 13, 1e-6);
  EXPECT_NEAR(RankVarianceBetween({1, 2, 8, 9}, {0, 0, 1, 1}), 0.8, 1e-12);
  EXPECT_TRUE(std::isnan(RankVarianceBetween({1, 1}, {0, 1})));
}

v1::Study MakeStudy() {
  v1::Study study;
  study.mutable_objective()->set_metric(v1::Objective::VALIDATION_LOSS);
  study.mutable_objective()->set_goal(v1::Objective::MINIMIZE);
  v1::Parameter& rate = *study.mutable_search()->add_parameters();
  rate.set_path("rate");
  rate.mutable_double_()->set_max(1);
  v1::Parameter& start = *study.mutable_search()->add_parameters();
  start.set_path("start");
  start.mutable_choice();
  v1::Parameter& constant = *study.mutable_search()->add_parameters();
  constant.set_path("constant");
  constant.mutable_integer();
  return study;
}

v1::Trial MakeTrial(int number, const std::vector<double>& losses) {
  v1::Trial trial;
  trial.set_state(v1::Trial::STOPPED);
  for (const auto& [path, value] :
       {std::pair("rate", absl::StrCat(0.1 * number)),
        std::pair("start", std::string(number % 2 ? "\"a\"" : "\"b\"")),
        std::pair("constant", std::string("3"))}) {
    v1::ParameterValue& searched = *trial.add_values();
    searched.set_path(path);
    searched.set_value(value);
  }
  for (const double loss : losses) {
    v1::EpochRecord& record = *trial.add_epochs();
    record.set_epoch(trial.epochs_size());
    record.mutable_measurement()->set_validation_loss(loss);
  }
  trial.set_epoch(trial.epochs_size());
  return trial;
}

TEST(ImportanceTest, LargerValuesThatAreBetterCorrelatePositively) {
  std::vector<v1::Trial> trials;
  for (int i = 0; i < 10; ++i) trials.push_back(MakeTrial(i, {1.0 - 0.05 * i}));
  const ImportanceReport report = ImportanceOf(MakeStudy(), trials);

  EXPECT_EQ(report.trial_count, 10);
  ASSERT_THAT(report.parameters, SizeIs(2));
  EXPECT_EQ(report.parameters[0].path, "rate");
  EXPECT_NEAR(*report.parameters[0].correlation, 1, 1e-12);
  EXPECT_NEAR(report.parameters[0].share_by_chance, 1.0 / 9, 1e-12);
  EXPECT_EQ(report.parameters[1].path, "start");
  EXPECT_EQ(report.parameters[1].group_count, 2);
  EXPECT_LT(report.parameters[1].share, 0.1);
}

TEST(ImportanceTest, TrialsAreComparedAfterEqualTraining) {
  std::vector<v1::Trial> trials;
  for (int i = 0; i < 8; ++i) trials.push_back(MakeTrial(i, {1.0 - 0.05 * i}));
  for (int i = 8; i < 10; ++i) {
    trials.push_back(MakeTrial(i, {1.0 - 0.05 * i, 9, 9, 9}));
  }
  const ImportanceReport report = ImportanceOf(MakeStudy(), trials);

  EXPECT_EQ(report.epoch, 1);
  EXPECT_NEAR(*report.parameters[0].correlation, 1, 1e-12);
}

TEST(ImportanceTest, InfeasibleTrialsAreTheWorst) {
  std::vector<v1::Trial> trials;
  for (int i = 0; i < 8; ++i) trials.push_back(MakeTrial(i, {0.5 + 0.05 * i}));
  for (int i = 8; i < 10; ++i) {
    trials.push_back(MakeTrial(i, {}));
    trials.back().set_state(v1::Trial::INFEASIBLE);
  }
  trials.push_back(MakeTrial(1, {}));
  trials.back().set_state(v1::Trial::FAILED);  // Says nothing about its values.
  const ImportanceReport report = ImportanceOf(MakeStudy(), trials);

  EXPECT_EQ(report.trial_count, 10);
  EXPECT_EQ(report.infeasible_count, 2);
  EXPECT_LT(*report.parameters[0].correlation, -0.9);
}

TEST(ImportanceTest, FewTrialsSayNothing) {
  std::vector<v1::Trial> trials;
  for (int i = 0; i < 7; ++i) trials.push_back(MakeTrial(i, {1.0 - 0.05 * i}));
  EXPECT_THAT(ImportanceOf(MakeStudy(), trials).parameters, IsEmpty());
  EXPECT_THAT(ImportanceOf({}, {}).parameters, IsEmpty());
}

}  // namespace
}  // namespace headstart::client
