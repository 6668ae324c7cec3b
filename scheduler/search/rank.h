// The one total order of trials: at rungs, for the winner, for retention and in
// every list.
#pragma once

#include <cmath>
#include <compare>
#include <cstdint>

#include "headstart/v1/study.pb.h"
#include "headstart/v1/trial.pb.h"

namespace headstart::scheduler {

// Where a trial stands among others; smaller is better.
//
// Finite losses come before all others, then the lower loss, then the lower
// trial number. Who reported first never decides.
struct Rank {
  bool non_finite = false;
  double loss = 0;  // 0 when non_finite: NaN must not reach a comparison.
  int64_t trial = 0;

  static Rank Of(double loss, int64_t trial) {
    return std::isfinite(loss) ? Rank{false, loss, trial}
                               : Rank{true, 0, trial};
  }
  // Of a trial that counts as worst: FAILED, INFEASIBLE.
  static Rank Worst(int64_t trial) { return {true, 0, trial}; }

  auto operator<=>(const Rank&) const = default;
};

// Where a trial stands in its study; smaller is better.
struct Standing {
  // Rungs not reached; always 0 when the study ranks by OBJECTIVE_ONLY.
  int64_t rungs_missed = 0;
  Rank rank;

  auto operator<=>(const Standing&) const = default;
};

// The objective of a measurement; NaN when it was not measured.
double ObjectiveOf(const v1::Objective& objective,
                   const v1::Measurement& measurement);
// Whether the measurement has what the objective needs.
bool HasObjective(const v1::Objective& objective,
                  const v1::Measurement& measurement);

// Lower is always better for a loss: the objective, negated for MAXIMIZE. Its
// own inverse.
inline double LossOf(const v1::Objective& objective, double value) {
  return objective.goal() == v1::Objective::MAXIMIZE ? -value : value;
}

}  // namespace headstart::scheduler
