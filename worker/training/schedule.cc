#include "worker/training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace headstart::worker {
namespace {

// From `from` to `to` along half a cosine; `part` goes from 0 to 1.
double HalfCosine(double from, double to, double part) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * part)) / 2;
}

double Rate(const ConstantSchedule&, double base_rate, const ScheduleTime&) {
  return base_rate;
}

double Rate(const CosineSchedule& cosine, double base_rate,
            const ScheduleTime& time) {
  double epochs_done = time.epoch - 1;
  if (cosine.step == CosineStep::kPerStep) {
    epochs_done += static_cast<double>(time.step) / time.steps_per_epoch;
  }
  return HalfCosine(base_rate, cosine.final_learning_rate,
                    std::min(1.0, epochs_done / cosine.period_epochs));
}

double Rate(const MultiStepSchedule& multi_step, double base_rate,
            const ScheduleTime& time) {
  const auto passed =
      std::upper_bound(multi_step.milestones.begin(),
                       multi_step.milestones.end(), time.epoch - 1);
  return base_rate *
         std::pow(multi_step.factor, passed - multi_step.milestones.begin());
}

double Rate(const OneCycleSchedule& cycle, double base_rate,
            const ScheduleTime& time) {
  const double steps = time.epochs * time.steps_per_epoch;
  const double step = (time.epoch - 1) * time.steps_per_epoch + time.step;
  const double peak = cycle.rise * steps - 1;
  const double first_rate = base_rate / cycle.start_divisor;
  if (step < peak) return HalfCosine(first_rate, base_rate, step / peak);
  const double fall = steps - 1 - peak;
  const double part = fall > 0 ? std::min(1.0, (step - peak) / fall) : 0;
  return HalfCosine(base_rate, first_rate / cycle.final_divisor, part);
}

}  // namespace

double ScheduledRate(const Schedule& schedule, double base_rate,
                     const ScheduleTime& time) {
  const WarmUp& warm_up = schedule.warm_up;
  if (time.epoch <= warm_up.epochs) {
    const double steps = warm_up.epochs * time.steps_per_epoch;
    const double step = (time.epoch - 1) * time.steps_per_epoch + time.step;
    return base_rate *
           (warm_up.start_factor + (1 - warm_up.start_factor) * step / steps);
  }
  ScheduleTime after = time;
  after.epoch -= warm_up.epochs;
  after.epochs -= warm_up.epochs;
  return std::visit(
      [&](const auto& shape) { return Rate(shape, base_rate, after); },
      schedule.shape);
}

}  // namespace headstart::worker
