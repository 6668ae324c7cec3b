#include "scheduler/core/run.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/check.h"

namespace headstart::scheduler {
namespace {

// Numbers and names as short text, for the message that shows two of them.
std::string Values(const v1::Measurement& measurement,
                   absl::string_view digest) {
  return absl::StrCat("{", measurement.ShortDebugString(), "} with manifest ",
                      absl::BytesToHexString(digest.substr(0, 6)));
}

}  // namespace

void Run::SetTraining(const v1::TrainingSpec& spec) {
  training = spec.SerializeAsString();
  if (spec.has_early_stop()) {
    stop_accuracy = spec.early_stop().validation_accuracy();
  }
}

v1::TrainingSpec Run::ParseTraining() const {
  v1::TrainingSpec spec;
  HS_CHECK(spec.ParseFromString(training)) << name.ToString();
  return spec;
}

bool Run::IsHeldBy(absl::string_view worker, int64_t attempt,
                   int64_t attempt_token) const {
  return live && attempts.back().number() == attempt &&
         token == attempt_token && attempts.back().worker() == worker;
}

void Run::Apply(const internal::v1::AttemptLeased& event,
                const Timestamp& time) {
  HS_CHECK(!live) << event.run() << " has a live attempt already";
  HS_CHECK_EQ(event.attempt(), static_cast<int64_t>(attempts.size()) + 1);
  v1::Attempt& attempt = attempts.emplace_back();
  attempt.set_number(event.attempt());
  attempt.set_state(v1::Attempt::LEASED);
  attempt.set_worker(event.worker());
  attempt.set_slot(event.slot());
  attempt.set_from_epoch(event.from_epoch());
  attempt.set_until_epoch(event.until_epoch());
  *attempt.mutable_start_time() = time;
  live = true;
  token = event.token();
  effective_known = false;
}

void Run::Apply(const internal::v1::AttemptStarted& event) {
  HS_CHECK(live) << event.run();
  attempts.back().set_state(v1::Attempt::RUNNING);
  if (event.has_effective()) effective_known = true;
}

void Run::Apply(const internal::v1::AttemptEnded& event,
                const Timestamp& time) {
  HS_CHECK(live) << event.run();
  v1::Attempt& attempt = attempts.back();
  attempt.set_state(event.state());
  *attempt.mutable_end_time() = time;
  if (event.has_failure()) *attempt.mutable_failure() = event.failure();
  live = false;
  if (event.state() == v1::Attempt::FAILED) ++failures;
  if (event.state() == v1::Attempt::LOST) ++losses;
}

void Run::Apply(const internal::v1::EpochRecorded& event,
                const Timestamp& time) {
  const v1::EpochReport& report = event.report();
  if (report.epoch() == 0 && recorded_epoch() == 0) {
    // A run that starts again draws its initial state again.
    epochs.clear();
  } else {
    HS_CHECK_EQ(report.epoch(), recorded_epoch() + 1);
    failures = 0;
  }
  v1::EpochRecord& record = epochs.emplace_back();
  record.set_epoch(report.epoch());
  if (report.has_measurement()) {
    *record.mutable_measurement() = report.measurement();
  }
  record.set_checkpoint(CheckpointText(name, report.epoch()));
  record.set_manifest_digest(report.manifest_digest());
  record.set_attempt(event.attempt());
  if (report.has_seconds()) *record.mutable_seconds() = report.seconds();
  record.set_examples_per_second(report.examples_per_second());
  record.set_peak_memory_bytes(report.peak_memory_bytes());
  *record.mutable_record_time() = time;
  if (StopsAfter(report.epoch(), report.measurement())) {
    until_epoch = report.epoch();
    attempts.back().set_until_epoch(until_epoch);
  }
}

void Run::RenewRetries() {
  failures = 0;
  losses = 0;
}

std::string CheckpointText(const RunName& run, int64_t epoch) {
  return CheckpointName{run, epoch}.ToString();
}

v1::Failure MakeFailure(v1::Failure::Reason reason, std::string message) {
  v1::Failure failure;
  failure.set_reason(reason);
  failure.set_message(std::move(message));
  return failure;
}

ReportVerdict JudgeReport(const Run& run, int64_t recorded_epoch,
                          const v1::EpochReport& report, absl::Status& status) {
  const v1::Attempt& attempt = run.attempts.back();
  const int64_t epoch = report.epoch();
  const std::string where = absl::StrCat(run.name.ToString(), ": attempt ",
                                         attempt.number(), ", epoch ", epoch);
  if (report.manifest_digest().size() != 32) {
    status = absl::InvalidArgumentError(
        absl::StrCat(where, ": manifest_digest must have 32 bytes, got ",
                     report.manifest_digest().size(), "."));
    return ReportVerdict::kRefuse;
  }
  const int64_t first =
      attempt.from_epoch() == 0 ? 0 : attempt.from_epoch() + 1;
  if (epoch < first || epoch > attempt.until_epoch()) {
    status = absl::FailedPreconditionError(
        absl::StrCat(where, ": this attempt reports epochs ", first, " to ",
                     attempt.until_epoch(), "."));
    return ReportVerdict::kRefuse;
  }
  if (epoch == recorded_epoch + 1) return ReportVerdict::kRecord;
  if (epoch > recorded_epoch) {
    status = absl::FailedPreconditionError(absl::StrCat(
        where, ": epoch ", recorded_epoch + 1,
        " was not reported before it. Report every epoch, in order."));
    return ReportVerdict::kRefuse;
  }
  // Epochs recorded by this very message are only compared by number: an agent
  // that lists an epoch twice lists it ascending.
  if (epoch > run.recorded_epoch()) {
    status = absl::FailedPreconditionError(
        absl::StrCat(where, ": listed twice in one message."));
    return ReportVerdict::kRefuse;
  }
  // The first word of an attempt that drew the initial state again.
  if (epoch == 0 && recorded_epoch == 0 &&
      run.epochs[0].attempt() != attempt.number()) {
    return ReportVerdict::kRecord;
  }
  status = CompareWithRecord(run, attempt.number(), report);
  return status.ok() ? ReportVerdict::kRepeat : ReportVerdict::kRefuse;
}

absl::Status CompareWithRecord(const Run& run, int64_t attempt,
                               const v1::EpochReport& report) {
  const v1::EpochRecord& record = run.epochs[report.epoch()];
  if (record.manifest_digest() == report.manifest_digest() &&
      record.measurement().SerializeAsString() ==
          report.measurement().SerializeAsString()) {
    return absl::OkStatus();
  }
  return absl::AlreadyExistsError(absl::StrCat(
      run.name.ToString(), ": attempt ", attempt, ", epoch ", report.epoch(),
      " is recorded as ",
      Values(record.measurement(), record.manifest_digest()),
      ", and was reported again as ",
      Values(report.measurement(), report.manifest_digest()), "."));
}

RunFate JudgeEnd(const Run& run, v1::Attempt::State end, bool newly_recorded,
                 const v1::FailurePolicy& policy, v1::Failure& failure) {
  if (end == v1::Attempt::FAILED) {
    if (failure.reason() == v1::Failure::NON_FINITE_LOSS ||
        failure.reason() == v1::Failure::INVALID_SPEC) {
      return RunFate::kIsInfeasible;
    }
    const int64_t failures = (newly_recorded ? 0 : run.failures) + 1;
    if (failures <= policy.max_retries()) return RunFate::kWaits;
    std::string& message = *failure.mutable_message();
    if (!message.empty() && !absl::EndsWith(message, ".")) message += ".";
    absl::StrAppend(&message, " It failed ", failures,
                    failures == 1 ? " time" : " times",
                    " since its last new epoch; failure_policy.max_retries is ",
                    policy.max_retries(), ".");
    return RunFate::kFails;
  }
  if (end == v1::Attempt::LOST) {
    const int64_t losses = run.losses + 1;
    if (losses <= policy.max_losses()) return RunFate::kWaits;
    absl::StrAppend(failure.mutable_message(), " That is lease ", losses,
                    " lost; failure_policy.max_losses is ", policy.max_losses(),
                    ".");
    return RunFate::kFails;
  }
  return RunFate::kWaits;
}

}  // namespace headstart::scheduler
