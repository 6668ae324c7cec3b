#include "scheduler/core/scheduler.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/scheduler_world.h"

namespace headstart::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// get_job of Li et al., "A System for Massively Parallel Hyperparameter Tuning"
// (2020), algorithm 2, by hand: ASHA that promotes, with r = 1, R = 9, eta = 3
// and s = 0; one worker, nine configurations with these losses at rung 0, each
// rung lowering the loss by .05. A job is {configuration, rung}, both from 0.
// Losses that improve are the worst case: 5 promotions from rung 0, not 3.
TEST(SchedulerTest, TracesAshaJobByJob) {
  const std::vector<double> losses = {.9, .5, .7, .4, .8, .3, .6, .2, .1};
  TestWorld world;
  world.Do(CreateStudy{
      {}, SmallStudy("asha { trial_count: 9 min_epochs: 1 reduction: 3 }", 9)});

  const std::vector<std::string> jobs =
      world.TrainAll([&](const v1::Assignment& work, int64_t epoch) {
        const int64_t trial = std::stoll(work.run().substr(17));
        const double rung = epoch >= 9 ? 2 : epoch >= 3 ? 1 : 0;
        return losses[trial - 1] - .05 * rung;
      });

  std::vector<std::string> expected;
  for (const auto& [configuration, rung] :
       std::vector<std::pair<int, int>>{{0, 0},
                                        {1, 0},
                                        {2, 0},
                                        {1, 1},
                                        {3, 0},
                                        {3, 1},
                                        {4, 0},
                                        {5, 0},
                                        {5, 1},
                                        {5, 2},
                                        {6, 0},
                                        {7, 0},
                                        {7, 1},
                                        {7, 2},
                                        {8, 0},
                                        {8, 1},
                                        {8, 2}}) {
    expected.push_back(absl::StrCat("studies/1/trials/", configuration + 1, "@",
                                    rung == 0   ? 1
                                    : rung == 1 ? 3
                                                : 9));
  }
  EXPECT_EQ(jobs, expected);
  const v1::Study study = *world.scheduler().GetStudy("studies/1");
  EXPECT_EQ(study.state(), v1::Study::SUCCEEDED);
  EXPECT_EQ(study.best_trial(), "studies/1/trials/9");
  world.ExpectReplayEqual();
}

TEST(SchedulerTest, ReplaysAStudyAndAgrees) {
  TestWorld world;
  world.Do(CreateStudy{
      {}, SmallStudy("asha { trial_count: 9 min_epochs: 1 reduction: 3 }", 9)});
  world.TrainAll([](const v1::Assignment& work, int64_t) {
    return work.training().optimizer().adam().learning_rate();
  });

  StudyReplay replay(1);
  for (const Event& event : world.journal()) replay.Next(event);
  const v1::ReplayStudyResponse response = replay.Finish();

  EXPECT_GT(response.decisions_count(), 18);
  EXPECT_THAT(response.differences(), ElementsAre());
}

}  // namespace
}  // namespace headstart::scheduler
