// The learning rate over time.
#pragma once

#include <cstdint>
#include <variant>

namespace headstart::worker {

struct ConstantSchedule {};

enum class CosineStep { kPerEpoch, kPerStep };

// Half a cosine from the base rate to final_learning_rate, which is reached
// after period_epochs and stays.
struct CosineSchedule {
  CosineStep step = CosineStep::kPerEpoch;
  int64_t period_epochs = 1;
  double final_learning_rate = 0;
};

using Schedule = std::variant<ConstantSchedule, CosineSchedule>;

// Where a training is.
struct ScheduleTime {
  int64_t epoch;            // From 1.
  int64_t step;             // Within the epoch, from 0.
  int64_t steps_per_epoch;  // At least 1.
};

// The rate of the step at `time`: a pure function, so nothing of it is stored.
double ScheduledRate(const Schedule& schedule, double base_rate,
                     const ScheduleTime& time);

}  // namespace headstart::worker
