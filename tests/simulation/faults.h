// What goes wrong in a simulated world, and how often.
#pragma once

#include "base/random_stream.h"

namespace headstart::simulation {

// Each seed draws its own mix, so that some worlds have one kind of trouble and
// some have all. Rates are chances, 0 to 1.
struct Faults {
  double message_lost = 0;
  double message_doubled = 0;
  double message_late = 0;       // Delayed by up to a minute instead of 100 ms.
  double trainer_fails = 0;      // Per epoch.
  double loss_not_finite = 0;    // Per epoch, for good: the spec is at fault.
  double objective_nan = 0;      // Per run and rung: a NaN is reported.
  double agent_contradicts = 0;  // Per message: says otherwise than before.
  double agent_dies = 0;         // Per agent and ten seconds.
  double scheduler_dies = 0;     // Per command.
  double person_acts = 0;        // Per ten seconds.

  static Faults Draw(RandomStream random) {
    const auto rate = [&](double max) {
      return random.Uniform() < 0.5 ? 0 : max * random.Uniform();
    };
    Faults faults;
    faults.message_lost = rate(0.3);
    faults.message_doubled = rate(0.3);
    faults.message_late = rate(0.3);
    faults.trainer_fails = rate(0.15);
    faults.loss_not_finite = rate(0.05);
    faults.objective_nan = rate(0.3);
    faults.agent_contradicts = rate(0.1);
    faults.agent_dies = rate(0.2);
    faults.scheduler_dies = rate(0.1);
    faults.person_acts = rate(0.5);
    return faults;
  }
};

}  // namespace headstart::simulation
