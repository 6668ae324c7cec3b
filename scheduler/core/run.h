// What is leased and trains: a trial, or one seed of a training.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/timestamp.pb.h"

#include "base/names.h"
#include "headstart/internal/v1/journal.pb.h"
#include "headstart/v1/study.pb.h"
#include "headstart/v1/training_spec.pb.h"
#include "headstart/v1/trial.pb.h"
#include "headstart/v1/worker_service.pb.h"

namespace headstart::scheduler {

using Event = ::headstart::internal::v1::Event;
using ::google::protobuf::Timestamp;

// One run with its attempts and epochs. Who owns it (study.h, training.h)
// keeps its state; here is what both kinds share.
//
// An attempt is live from AttemptLeased to AttemptEnded, and only the last one
// can be. It ends SUCCEEDED with the record of until_epoch; what the agent says
// about it afterwards is old news.
struct Run {
  RunName name;
  // A complete TrainingSpec, serialized: a tenth of what it takes parsed, and
  // needed only when an attempt starts or somebody asks.
  std::string training;
  int64_t seed = 0;
  // Where the current or next attempt ends.
  int64_t until_epoch = 0;
  // The validation accuracy that ends the run before: the spec's early_stop.
  std::optional<double> stop_accuracy;

  std::vector<v1::EpochRecord> epochs;  // Epoch e at index e.
  std::vector<v1::Attempt> attempts;    // Attempt n at index n - 1.
  bool live = false;                    // The last attempt is live.
  int64_t token = 0;                    // Of the last attempt.
  bool effective_known = false;         // What the last attempt really uses.

  // Attempts that FAILED since the last newly recorded epoch, and leases lost
  // since the beginning or the last RetryTrial.
  int64_t failures = 0;
  int64_t losses = 0;

  // -1 when nothing is recorded, not even the initial state.
  int64_t recorded_epoch() const {
    return static_cast<int64_t>(epochs.size()) - 1;
  }
  // Where the next attempt starts. With nothing but epoch 0 recorded a run
  // starts again: the initial state is drawn, not resumed.
  int64_t from_epoch() const { return epochs.empty() ? 0 : recorded_epoch(); }
  bool reached_rung() const { return recorded_epoch() == until_epoch; }
  // Whether an epoch with this measurement is the run's last by its early_stop.
  bool StopsAfter(int64_t epoch, const v1::Measurement& measurement) const {
    return epoch > 0 && stop_accuracy.has_value() &&
           measurement.has_validation_accuracy() &&
           measurement.validation_accuracy() >= *stop_accuracy;
  }
  // Whether it has reached that.
  bool stopped() const {
    return !epochs.empty() &&
           StopsAfter(recorded_epoch(), epochs.back().measurement());
  }
  // Sets training and stop_accuracy.
  void SetTraining(const v1::TrainingSpec& spec);
  v1::TrainingSpec ParseTraining() const;

  // Whether this is the live attempt, held with this token by this worker.
  bool IsHeldBy(absl::string_view worker, int64_t attempt,
                int64_t attempt_token) const;

  void Apply(const internal::v1::AttemptLeased& event, const Timestamp& time);
  void Apply(const internal::v1::AttemptStarted& event);
  void Apply(const internal::v1::AttemptEnded& event, const Timestamp& time);
  void Apply(const internal::v1::EpochRecorded& event, const Timestamp& time);
  void RenewRetries();
};

// The name of a run's checkpoint.
std::string CheckpointText(const RunName& run, int64_t epoch);

v1::Failure MakeFailure(v1::Failure::Reason reason, std::string message);

// What to do with a report about the live attempt of `run`, when epochs up to
// `recorded_epoch` are recorded (those of this message included).
enum class ReportVerdict {
  kRecord,  // New.
  kRepeat,  // Recorded before, with the same values.
  kRefuse,  // The status says why. The attempt cannot go on.
};
// `status` is set for kRefuse: AlreadyExists with both values when another
// value stands under the same key, FailedPrecondition for an epoch that does
// not follow, InvalidArgument for a report that is wrong in itself.
ReportVerdict JudgeReport(const Run& run, int64_t recorded_epoch,
                          const v1::EpochReport& report, absl::Status& status);

// AlreadyExists, with both values, when a report says otherwise than the record
// of its epoch, which there is. How long the epoch took is not compared.
absl::Status CompareWithRecord(const Run& run, int64_t attempt,
                               const v1::EpochReport& report);

// What becomes of a run whose attempt ended without reaching until_epoch.
enum class RunFate { kWaits, kFails, kIsInfeasible };
// `run` does not know of this end yet; `newly_recorded`: the attempt recorded
// an epoch in the same message, so its failures count anew. When the run fails,
// `failure` gets a sentence more: which limit was reached.
RunFate JudgeEnd(const Run& run, v1::Attempt::State end, bool newly_recorded,
                 const v1::FailurePolicy& policy, v1::Failure& failure);

}  // namespace headstart::scheduler
