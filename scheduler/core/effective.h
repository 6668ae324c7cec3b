// What a trainer says it really uses, against what was recorded.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "headstart/v1/training_spec.pb.h"
#include "headstart/v1/worker_service.pb.h"

namespace headstart::scheduler {

// The rate that the schedule scales; 0 without a kind.
double BaseLearningRate(const v1::Optimizer& optimizer);

// Internal, naming the value, what was recorded and what is used, when an
// attempt does not do what `training` says. A study that tunes the wrong knob
// ends here.
absl::Status CheckEffective(const v1::TrainingSpec& training,
                            const v1::EffectiveValues& effective);

}  // namespace headstart::scheduler
