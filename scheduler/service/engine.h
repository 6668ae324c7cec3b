// The one thread that owns the scheduler's state: take what is queued, decide,
// append, apply, answer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/net/telemetry.h"
#include "scheduler/core/scheduler.h"
#include "scheduler/journal/journal.h"
#include "scheduler/service/lease_table.h"
#include "scheduler/service/metrics.h"

namespace headstart::scheduler {

// What functions see that run on the engine's thread. Theirs for the call.
struct EngineView {
  const Scheduler& scheduler;
  const LeaseTable& leases;
  absl::Time now;
};

struct EngineOptions {
  // How long an attempt goes on unheard of. 1 s to 1 h.
  absl::Duration lease_duration = absl::Seconds(30);
  // Below this much room commands that grow the journal are refused.
  int64_t free_bytes_floor = int64_t{256} << 20;
  // Where the journal is, for that refusal's message.
  std::string folder;
  // Requests that wait at most; what comes on top is refused as Unavailable.
  int64_t queue_max = 10'000;
  // Waits at most, likewise.
  int64_t waits_max = 10'000;
  // Called when the journal could not be written; ends the process. Nothing is
  // answered from then on but Unavailable.
  std::function<void(const absl::Status&)> stop_process;
};

enum class WaitEnd { kReady, kTimeout, kEnded };

// Something to wait for. See Engine::Wait.
struct WaitRequest {
  // `ready` is not asked before this much time has passed.
  absl::Duration not_before = absl::ZeroDuration();
  absl::Duration timeout = absl::InfiniteDuration();
  // Whether what is waited for is true of the durable state. Asked often.
  absl::AnyInvocable<bool(const EngineView&)> ready;
  // Called exactly once, on the engine's thread. With kEnded the state is not
  // to be told to anybody: it may be what the journal lacks.
  absl::AnyInvocable<void(const EngineView&, WaitEnd)> then;
};

// Takes every command that is queued, decides and applies them one after
// another in memory, appends all their events with one synced write, then
// answers all. Reads queue with the commands and are answered with them, so no
// answer tells what a crash could take back.
//
//   queue: C1 R C2 | C3 R ...     look at the state (C1, R, C2), then one
//          group 1   group 2      append, then the answers of C1, R, C2
//
// Owns lease time as well: measured here, entering as commands. A second
// thread wakes the first ten times a second for it.
//
// Any thread may call anything. Functions handed in run on the engine's thread
// and must not block; they may call the engine.
class Engine {
 public:
  // Looks at the state as its request left it. Its error becomes the answer's.
  using Look = absl::AnyInvocable<absl::Status(const EngineView&)>;
  using LookAfter =
      absl::AnyInvocable<absl::Status(const EngineView&, const Outcome&)>;
  // Called exactly once, when what was looked at is durable; or at once, on
  // the caller's thread, when the request is refused unseen.
  using Answer = absl::AnyInvocable<void(absl::Status)>;

  // Replays the journal, which outlives the engine as the other two do.
  static absl::StatusOr<std::unique_ptr<Engine>> Start(EngineOptions options,
                                                       Journal& journal,
                                                       Clock& clock,
                                                       Telemetry& telemetry);
  ~Engine();  // Stop.

  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Errors as at each command, and:
  //   ResourceExhausted  too little room for a command that grows the journal.
  //   Unavailable        too much is queued, or the engine has stopped.
  void Submit(Command command, LookAfter look, Answer answer);
  void Read(Look look, Answer answer);

  // The same, waiting for the answer. Never on the engine's thread.
  absl::Status SubmitAndWait(Command command, LookAfter look);
  absl::Status ReadAndWait(Look look);

  // Returns a number for EndWait. When the engine has stopped or too many wait,
  // `then` is not called and the result is Unavailable.
  absl::StatusOr<int64_t> Wait(WaitRequest request);
  // Ends a wait now, with kEnded; nothing when it has ended.
  void EndWait(int64_t wait);

  // Ends all waits, and those to come at once: the first step of a shutdown.
  void Drain();
  // Answers what is queued and ends the thread. Repeating it changes nothing.
  void Stop();

  const std::string& cluster_id() const { return journal_.cluster_id(); }
  absl::Duration lease_duration() const { return options_.lease_duration; }
  const Journal& journal() const { return journal_; }

 private:
  struct Request {
    bool is_command = false;
    Command command;
    LookAfter look;
    Answer answer;
    absl::Status status;
  };
  struct PendingWait {
    absl::Duration ask_from;
    absl::Duration deadline;
    WaitRequest request;
  };
  struct Group {
    std::vector<Request> requests;
    std::vector<std::pair<int64_t, PendingWait>> new_waits;
    std::vector<int64_t> ended_waits;
    bool end_all_waits = false;
    bool tick = false;
    bool last = false;
  };

  Engine(EngineOptions options, Journal& journal, Clock& clock,
         Telemetry& telemetry);

  absl::Status Replay();
  void Enqueue(Request request);

  // On the engine's thread.
  void Run();
  Group TakeQueued();
  void ServeGroup(Group group);
  void Decide(Request& request);
  void DecideExpiries(absl::Duration now);
  absl::StatusOr<Outcome> Execute(const Command& command);
  absl::Status RefuseWithoutRoom(const Command& command);
  absl::Status AppendEvents();
  void ServeWaits(Group& group);
  void Fail(const absl::Status& error);
  EngineView View() const;

  const EngineOptions options_;
  Journal& journal_;
  Clock& clock_;
  Metrics metrics_;

  // The engine thread's own, from Run on.
  Scheduler scheduler_;
  LeaseTable leases_;
  absl::Duration expiries_at_;       // When leases were looked at last.
  std::vector<Event> group_events_;  // Applied, not yet appended.
  // Asked once per group, when a command needs it.
  std::optional<absl::StatusOr<int64_t>> free_bytes_;
  bool said_no_room_ = false;
  absl::btree_map<int64_t, PendingWait> waits_;
  bool failed_ = false;

  Mutex mu_;
  CondVar queued_;
  Group queue_ ABSL_GUARDED_BY(mu_);
  int64_t last_wait_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t open_waits_ ABSL_GUARDED_BY(mu_) = 0;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;

  StopEvent stop_ticking_;
  std::thread engine_thread_;
  std::thread tick_thread_;
};

}  // namespace headstart::scheduler
