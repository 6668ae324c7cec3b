#include "worker/agent/storage_retry.h"

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "worker/agent/backoff.h"

namespace headstart::worker {
namespace {

constexpr int kDoubtfulErrorsMax = 10;

enum class Verdict { kRepeat, kDoubtful, kFinal };

Verdict Judge(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kFailedPrecondition:
      return Verdict::kRepeat;
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return Verdict::kDoubtful;
    default:
      return Verdict::kFinal;
  }
}

}  // namespace

absl::Status StorageRetry::Run(const std::string& what, const StopEvent& cancel,
                               absl::FunctionRef<absl::Status()> call) const {
  Backoff backoff(absl::Milliseconds(100), absl::Seconds(5), jitter);
  int doubtful_count = 0;
  bool waits = false;
  const absl::Cleanup done = [&] {
    if (waits) on_waiting("");
  };
  while (!cancel.stopped()) {
    const absl::Status status = call();
    if (status.ok()) return status;
    const Verdict verdict = Judge(status);
    if (verdict == Verdict::kFinal) return status;
    if (verdict == Verdict::kDoubtful &&
        ++doubtful_count >= kDoubtfulErrorsMax) {
      return status;
    }
    waits = true;
    on_waiting(absl::StrCat("storage, which answers ",
                            absl::StatusCodeToString(status.code()), " to ",
                            what, ": ", status.message()));
    const absl::Duration wait = backoff.Next();
    HS_LOG(kWarning, "storage will be asked again what=\"{}\" after={} why={}",
           what, wait, status);
    clock->WaitFor(wait, cancel);
  }
  return absl::CancelledError(what + ": no longer wanted");
}

}  // namespace headstart::worker
