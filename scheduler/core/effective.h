// What a trainer says it really uses, against what was recorded.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "headstart/v1/training_spec.pb.h"
#include "headstart/v1/worker_service.pb.h"

namespace headstart::scheduler {

// The learning rate of the first step after `from_epoch`. The spec is complete.
double FirstLearningRate(const v1::TrainingSpec& training, int64_t from_epoch);

// Internal, naming the value, what was recorded and what is used, when an
// attempt from `from_epoch` does not do what `training` says. A study that
// tunes the wrong knob ends here.
absl::Status CheckEffective(const v1::TrainingSpec& training,
                            int64_t from_epoch,
                            const v1::EffectiveValues& effective);

}  // namespace headstart::scheduler
