// Where an epoch is in a run of several phases: levels of pruning, or stages.
#pragma once

#include <cstdint>

namespace headstart::worker {

struct PhasePlace {
  int64_t phase;   // From 0.
  int64_t epoch;   // Of the phase's schedule, from 1.
  int64_t epochs;  // That the schedule goes through.
  bool begins;     // The first of a phase that is not the first.
};

}  // namespace headstart::worker
