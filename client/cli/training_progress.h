// What a person sees while a training runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "client/cli/print.h"
#include "client/cli/progress.h"
#include "client/client.h"
#include "headstart/v1/training.pb.h"

namespace headstart::client {

// The state of a training, drawn in place on a terminal, and as one line per
// notable change elsewhere.
//
//   trainings/1  RUNNING
//     from    studies/1/trials/4/epochs/5
//     epochs  23 of 36, 13 per second, about 1.0 s left
//     runs    1 of 3 done, 1 waiting, seed 43 at epoch 11 of 12
//     stored  28.9 MB
//
// One thread at a time.
class TrainingProgress {
 public:
  // All outlive it.
  TrainingProgress(Client& client, Printer& printer, Clock& clock)
      : printer_(printer), pace_(clock), stored_(client, clock) {}

  void Update(const v1::Training& training);

 private:
  std::vector<std::string> DrawnLines(const v1::Training& training) const;
  void SayChanges(const v1::Training& training);

  Printer& printer_;
  Pace pace_;
  StoredBytes stored_;

  // What was said last.
  std::string said_states_;
  int64_t said_tenths_ = 0;
};

}  // namespace headstart::client
