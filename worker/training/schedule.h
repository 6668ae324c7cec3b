// The learning rate over time.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

namespace headstart::worker {

// The base rate throughout.
struct ConstantSchedule {};

enum class CosineStep { kPerEpoch, kPerStep };

// Half a cosine from the base rate to final_learning_rate, which is reached
// after period_epochs and stays.
struct CosineSchedule {
  CosineStep step = CosineStep::kPerEpoch;
  int64_t period_epochs = 1;
  double final_learning_rate = 0;
};

// The rate is multiplied by `factor` after each of these many epochs.
struct MultiStepSchedule {
  std::vector<int64_t> milestones;  // Rising.
  double factor = 0.1;
};

// One rise from base rate / start_divisor to the base rate, then one fall to
// the first rate / final_divisor at the training's last step. Both are half
// cosines over steps: torch's OneCycleLR, without its cycle of momentum.
struct OneCycleSchedule {
  double rise = 0.3;  // Share of the steps.
  double start_divisor = 25;
  double final_divisor = 1e4;
};

// A straight line over steps from start_factor x base rate to the base rate.
struct WarmUp {
  int64_t epochs = 0;  // 0: none.
  double start_factor = 0;
};

// A shape behind a warm-up: its own time begins when the warm-up is over, so
// epochs that it names count from there (torch's SequentialLR).
struct Schedule {
  std::variant<ConstantSchedule, CosineSchedule, MultiStepSchedule,
               OneCycleSchedule>
      shape;
  WarmUp warm_up = {};
};

// Where a training is.
struct ScheduleTime {
  int64_t epoch;            // From 1.
  int64_t step;             // Within the epoch, from 0.
  int64_t steps_per_epoch;  // At least 1.
  int64_t epochs;           // Of the whole training.
};

// The rate of the step at `time`: a pure function, so nothing of it is stored.
double ScheduledRate(const Schedule& schedule, double base_rate,
                     const ScheduleTime& time);

}  // namespace headstart::worker
