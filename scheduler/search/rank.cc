#include "scheduler/search/rank.h"

#include <limits>

namespace headstart::scheduler {

bool HasObjective(const v1::Objective& objective,
                  const v1::Measurement& measurement) {
  switch (objective.metric()) {
    case v1::Objective::VALIDATION_ACCURACY:
      return measurement.has_validation_accuracy();
    case v1::Objective::VALIDATION_LOSS:
      return measurement.has_validation_loss();
    case v1::Objective::TRAINING_LOSS:
      return measurement.has_training_loss();
    default:
      return false;
  }
}

double ObjectiveOf(const v1::Objective& objective,
                   const v1::Measurement& measurement) {
  if (!HasObjective(objective, measurement)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  switch (objective.metric()) {
    case v1::Objective::VALIDATION_ACCURACY:
      return measurement.validation_accuracy();
    case v1::Objective::VALIDATION_LOSS:
      return measurement.validation_loss();
    default:
      return measurement.training_loss();
  }
}

}  // namespace headstart::scheduler
