// What a person sees while a study runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "client/cli/known_trainings.h"
#include "client/cli/print.h"
#include "client/cli/progress.h"
#include "client/client.h"
#include "headstart/v1/training.pb.h"
#include "headstart/v1/tuning_service.pb.h"

namespace headstart::client {

// The state of a study as a table drawn in place on a terminal, and as one line
// per notable change elsewhere.
//
//   studies/1  mnist-lenet  RUNNING
//     trials  10 of 27 done (9 stopped, 1 failed), 2 training, 7 paused
//     epochs  31 of about 54, 1.8 per second, about 13 s left
//     best    studies/1/trials/4, validation accuracy 97.20 % at epoch 9
//             optimizer.adam.learning_rate=0.0012  batch_size=60
//     stored  92.1 MB
//
// Asks the client for what an update does not hold: the plan and the trainings;
// if such a question is not answered, that part is left out.
//
// One thread at a time.
class StudyProgress {
 public:
  // All outlive it.
  StudyProgress(Client& client, Printer& printer, Clock& clock)
      : client_(client),
        printer_(printer),
        pace_(clock),
        stored_(client, clock),
        trainings_(client) {}

  void Update(const v1::WatchStudyResponse& update);

 private:
  void ReadPlan(const v1::Study& study);

  int64_t EpochsDone(const v1::Study& study) const;
  int64_t EpochsInAll(const v1::Study& study) const;

  std::vector<std::string> TrialsParts(const v1::Study& study) const;
  std::vector<std::string> EpochsParts(const v1::Study& study) const;
  std::vector<std::string> DrawnLines(
      const v1::WatchStudyResponse& update) const;

  // What has changed since the last call, a line each.
  void SayChanges(const v1::WatchStudyResponse& update);

  Client& client_;
  Printer& printer_;
  Pace pace_;
  StoredBytes stored_;

  std::optional<v1::StudyPlan> plan_;
  bool has_asked_for_plan_ = false;
  KnownTrainings trainings_;

  // What was said last.
  std::string said_state_;
  std::string said_best_trial_;
  double said_best_merit_ = 0;
  int64_t said_tenths_ = 0;
};

}  // namespace headstart::client
