#include "worker/training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace headstart::worker {

double ScheduledRate(const Schedule& schedule, double base_rate,
                     const ScheduleTime& time) {
  const auto* cosine = std::get_if<CosineSchedule>(&schedule);
  if (cosine == nullptr) return base_rate;
  double epochs_done = time.epoch - 1;
  if (cosine->step == CosineStep::kPerStep) {
    epochs_done += static_cast<double>(time.step) / time.steps_per_epoch;
  }
  const double part = std::min(1.0, epochs_done / cosine->period_epochs);
  return cosine->final_learning_rate +
         (base_rate - cosine->final_learning_rate) *
             (1 + std::cos(std::numbers::pi * part)) / 2;
}

}  // namespace headstart::worker
