// What can be asked of the scheduler: one struct per command, in one variant.
#pragma once

#include <cstdint>
#include <iterator>
#include <string>
#include <variant>

#include "absl/strings/string_view.h"

#include "headstart/v1/comparison.pb.h"
#include "headstart/v1/study.pb.h"
#include "headstart/v1/training.pb.h"
#include "headstart/v1/worker_service.pb.h"

namespace headstart::scheduler {

// Makes a command safe to repeat: the same id with the same method and
// fingerprint gets the first answer again and changes nothing; with another
// method or fingerprint it is refused as InvalidArgument. Without an id nothing
// is remembered: for plans, which change nothing. Who takes requests in sees to
// it that all others have one.
struct RequestKey {
  std::string id;           // At most 64 characters.
  std::string method;       // Full method name.
  std::string fingerprint;  // SHA-256 of the request's bytes.
};

// A command about one resource, by its full name.
struct NamedCommand {
  RequestKey request;
  std::string name;
};

// Studies and trials. InvalidArgument: the study or name is wrong in itself.
// NotFound: no such resource. FailedPrecondition: not in this state.
struct CreateStudy {
  RequestKey request;
  v1::Study study;  // As a person wrote it; output-only fields are ignored.
};
struct PauseStudy : NamedCommand {};   // No-op when PAUSED.
struct ResumeStudy : NamedCommand {};  // No-op when RUNNING.
struct CancelStudy : NamedCommand {};  // No-op when CANCELLED.
struct DeleteStudy : NamedCommand {};  // Only a study that is over.
struct StopTrial : NamedCommand {};    // No-op when STOPPED.
struct RetryTrial : NamedCommand {};   // Only FAILED, in a RUNNING study.

// Trainings. A training with a source is PREPARING until storage has answered
// for it with SourceConfirmed or SourceMissing.
struct CreateTraining {
  RequestKey request;
  v1::Training training;  // As a person wrote it.
};
struct CancelTraining : NamedCommand {};  // No-op when over.
struct DeleteTraining : NamedCommand {};  // Only a training that is over.

// Comparisons: trainings that begin and end together.
struct CreateComparison {
  RequestKey request;
  v1::Comparison comparison;  // As a person wrote it.
};
struct CancelComparison : NamedCommand {};  // No-op when over.
struct DeleteComparison : NamedCommand {};  // Only a comparison that is over.

// What storage said about a PREPARING training's source once its SOURCE_OF
// reference was stated. Ignored when the training is not PREPARING.
struct SourceConfirmed {
  std::string training;  // trainings/{n}
};
struct SourceMissing {
  std::string training;
  std::string message;  // Why, in one sentence for a person.
};

// An agent's message up. The down message is Scheduler::AnswerWorker, taken
// once the events are durable.
//   FailedPrecondition  another protocol version.
//   Aborted             a newer incarnation of this worker has been seen.
struct Synchronize {
  v1::SynchronizeRequest request;
};

// The lease of this attempt ran out on the service's monotonic clock. Ignored
// when the attempt is no longer live.
struct LeaseExpired {
  std::string run;
  int64_t attempt = 0;
};

// The worker has not called within a lease: it gets nothing new until it calls
// again. Its leases expire one by one with LeaseExpired.
struct WorkerGone {
  std::string worker;
};

struct CordonWorker : NamedCommand {};
struct UncordonWorker : NamedCommand {};  // Ends a drain too.
struct DrainWorker : NamedCommand {};

// Takes one step that follows from the state as it is: a trial's next state, a
// study's end, work for a free slot. Returns no events when nothing follows.
// Scheduler::Execute does this by itself; it is a command of its own for the
// start after a restart, and for tests.
struct Advance {};

using Command =
    std::variant<CreateStudy, PauseStudy, ResumeStudy, CancelStudy, DeleteStudy,
                 StopTrial, RetryTrial, CreateTraining, CancelTraining,
                 DeleteTraining, SourceConfirmed, SourceMissing, Synchronize,
                 LeaseExpired, WorkerGone, CordonWorker, UncordonWorker,
                 DrainWorker, CreateComparison, CancelComparison,
                 DeleteComparison, Advance>;

// Short names for metrics, in the order of the variant.
inline constexpr absl::string_view kCommandNames[] = {
    "create_study",      "pause_study",
    "resume_study",      "cancel_study",
    "delete_study",      "stop_trial",
    "retry_trial",       "create_training",
    "cancel_training",   "delete_training",
    "source_confirmed",  "source_missing",
    "synchronize",       "lease_expired",
    "worker_gone",       "cordon_worker",
    "uncordon_worker",   "drain_worker",
    "create_comparison", "cancel_comparison",
    "delete_comparison", "advance"};
static_assert(std::size(kCommandNames) == std::variant_size_v<Command>);

inline absl::string_view CommandName(const Command& command) {
  return kCommandNames[command.index()];
}

}  // namespace headstart::scheduler
