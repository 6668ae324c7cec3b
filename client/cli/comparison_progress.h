// What a person sees while a comparison runs.
#pragma once

#include <string>
#include <vector>

#include "client/cli/known_trainings.h"
#include "client/cli/print.h"
#include "client/cli/progress.h"
#include "client/client.h"
#include "headstart/v1/comparison.pb.h"

namespace headstart::client {

// The state of a comparison, drawn in place on a terminal, and as one line per
// notable change elsewhere.
//
//   comparisons/1  which epoch  RUNNING
//     epochs  61 of 300, 4.1 per second, about 58 s left
//     random       2 of 5 done, 2 waiting, seed 44 at epoch 3 of 12
//     epoch 2      5 waiting
//
// Asks the client for the trainings of the arms; those that are not answered
// for are left out. One thread at a time.
class ComparisonProgress {
 public:
  // All outlive it.
  ComparisonProgress(Client& client, Printer& printer, Clock& clock)
      : printer_(printer), pace_(clock), trainings_(client) {}

  void Update(const v1::Comparison& comparison);

 private:
  std::vector<std::string> DrawnLines(const v1::Comparison& comparison) const;

  Printer& printer_;
  Pace pace_;
  KnownTrainings trainings_;
};

}  // namespace headstart::client
