// The phases that a TrainingSpec divides its epochs into: levels of pruning, or
// stages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "headstart/v1/training_spec.pb.h"

namespace headstart {

// 0 where `count` is required and was left out.
int64_t StageCount(const v1::Stages& stages);

// Epochs that the schedule goes through: a level's or a stage's, without them
// the run's.
int64_t ScheduleEpochs(const v1::TrainingSpec& spec);

struct Phase {
  std::string name;  // "level 3" or "stage 2", counted from 1.
  int64_t count;     // That the run has of them.
  bool ends;         // The epoch is its last.
};

// Where `epoch`, from 1, lies; none in a run without phases. The spec is
// complete, and its epochs are whole phases.
std::optional<Phase> PhaseOf(const v1::TrainingSpec& spec, int64_t epoch);

}  // namespace headstart
