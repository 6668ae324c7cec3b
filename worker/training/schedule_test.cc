// Schedules against torch's.
#include "worker/training/schedule.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>
#include <span>

namespace headstart::worker {
namespace {

#include "worker/training/schedule_values.inc"

constexpr int64_t kSteps = 4;
constexpr int64_t kEpochs = 12;

double RateAt(const Schedule& schedule, int64_t epoch, int64_t step) {
  return ScheduledRate(schedule, 0.1,
                       {.epoch = epoch,
                        .step = step,
                        .steps_per_epoch = kSteps,
                        .epochs = kEpochs});
}

struct Case {
  const char* name;
  std::span<const double> expected;
  Schedule schedule;
};

void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

class ScheduleTest : public ::testing::TestWithParam<Case> {};

TEST_P(ScheduleTest, HasTheRatesOfTorch) {
  ASSERT_EQ(GetParam().expected.size(), kSteps * kEpochs);
  for (int64_t at = 0; at < kSteps * kEpochs; ++at) {
    EXPECT_NEAR(RateAt(GetParam().schedule, 1 + at / kSteps, at % kSteps),
                GetParam().expected[at], 1e-15)
        << "step " << at;
  }
}

constexpr CosineSchedule kPerStep = {.step = CosineStep::kPerStep,
                                     .period_epochs = 12};

INSTANTIATE_TEST_SUITE_P(
    All, ScheduleTest,
    ::testing::Values(
        Case{"cosine_per_epoch",
             kCosinePerEpoch,
             {CosineSchedule{.step = CosineStep::kPerEpoch,
                             .period_epochs = 12,
                             .final_learning_rate = 0.01}}},
        Case{"cosine_per_step", kCosinePerStep, {kPerStep}},
        Case{"multi_step",
             kMultiStep,
             {MultiStepSchedule{.milestones = {3, 7}, .factor = 0.2}}},
        Case{"one_cycle", kOneCycle, {OneCycleSchedule{}}},
        Case{"one_cycle_early_peak",
             kOneCycleEarlyPeak,
             {OneCycleSchedule{
                 .rise = 0.1, .start_divisor = 5, .final_divisor = 100}}},
        Case{"warm_up",
             kWarmUp,
             {ConstantSchedule{}, {.epochs = 3, .start_factor = 0.1}}},
        Case{"warm_up_then_cosine_per_step",
             kWarmUpThenCosinePerStep,
             {CosineSchedule{.step = CosineStep::kPerStep, .period_epochs = 10},
              {.epochs = 2, .start_factor = 1e-3}}},
        Case{"warm_up_then_multi_step",
             kWarmUpThenMultiStep,
             {MultiStepSchedule{.milestones = {3, 7}, .factor = 0.2},
              {.epochs = 1, .start_factor = 0.5}}},
        Case{"warm_up_then_one_cycle",
             kWarmUpThenOneCycle,
             {OneCycleSchedule{}, {.epochs = 2, .start_factor = 0.04}}}),
    [](const auto& info) { return info.param.name; });

TEST(ScheduleEdgeTest, ConstantStays) {
  EXPECT_EQ(RateAt({ConstantSchedule{}}, 1, 0), 0.1);
  EXPECT_EQ(RateAt({ConstantSchedule{}}, 99, 3), 0.1);
}

TEST(ScheduleEdgeTest, CosineStaysAtItsEnd) {
  const Schedule schedule = {
      CosineSchedule{.period_epochs = 5, .final_learning_rate = 0.02}};
  EXPECT_NEAR(RateAt(schedule, 6, 0), 0.02, 1e-15);
  EXPECT_NEAR(RateAt(schedule, 12, 3), 0.02, 1e-15);
}

TEST(ScheduleEdgeTest, OneCycleCanBeAsShortAsAStep) {
  const Schedule schedule = {OneCycleSchedule{.rise = 1}};
  EXPECT_EQ(
      ScheduledRate(schedule, 0.1,
                    {.epoch = 1, .step = 0, .steps_per_epoch = 1, .epochs = 1}),
      0.1);
  EXPECT_EQ(RateAt(schedule, 12, 3), 0.1);
}

}  // namespace
}  // namespace headstart::worker
