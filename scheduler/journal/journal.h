// The durable order of everything that happened to the scheduler.
#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "headstart/internal/v1/journal.pb.h"

namespace headstart::scheduler {

using Event = ::headstart::internal::v1::Event;

// The format this program writes. It reads this one only: a newer one is
// refused, so that an older program never works on state it does not know.
inline constexpr int64_t kJournalFormatVersion = 1;

// Keeps events in the order they were appended, numbered 1, 2, 3, ...
//
// The journal is the scheduler's only truth: its state is what applying the
// events in order gives. Nothing is ever changed or removed.
//
// One thread appends, the engine's. Everything else may be called beside it,
// from any thread.
class Journal {
 public:
  virtual ~Journal() = default;

  // Adds `events` behind those that are there, all or none. Once it returns OK
  // they survive a crash of process and machine. On any error it is unknown
  // whether they are there: stop the process, its next start reads what is.
  virtual absl::Status Append(absl::Span<const Event> events) = 0;

  // Calls `visitor` with each event from `sequence` (1 or more) to the last
  // there is at the call, ascending; ends early with the visitor's error.
  //   DataLoss            an event is missing or unreadable; the message has
  //                       its number. No event after it was visited.
  //   FailedPrecondition  an event was written by a newer program.
  virtual absl::Status ReadFrom(
      int64_t sequence,
      absl::FunctionRef<absl::Status(int64_t sequence, const Event& event)>
          visitor) const = 0;

  // Number of the last event, 0 when there is none.
  virtual int64_t last_sequence() const = 0;

  // 32 hex digits, drawn when the journal was made, the same ever since.
  virtual const std::string& cluster_id() const = 0;

  // How much room is left to grow.
  virtual absl::StatusOr<int64_t> FreeBytes() const = 0;
};

}  // namespace headstart::scheduler
