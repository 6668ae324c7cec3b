// One slot: its trainer, its slabs, and the attempt it holds.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/random_stream.h"
#include "headstart/v1/manifest.pb.h"
#include "headstart/v1/worker_service.pb.h"
#include "worker/agent/attempt_board.h"
#include "worker/agent/backoff.h"
#include "worker/agent/fetcher.h"
#include "worker/agent/memory_budget.h"
#include "worker/agent/metrics.h"
#include "worker/agent/slab_pool.h"
#include "worker/agent/slot_spec.h"
#include "worker/agent/storage_client.h"
#include "worker/agent/trainer_process.h"
#include "worker/agent/uploader.h"
#include "worker/trainer_protocol/messages.h"

namespace headstart::worker {

struct SlotOptions {
  SlotSpec spec;
  TrainerOptions trainer;
  std::string log_path;  // Of the trainers' stderr.
  int64_t slab_count = 3;
  // A fresh trainer for every attempt.
  bool isolate_trials = false;
  // A trainer that has not said `ready` by then is killed.
  absl::Duration start_patience = absl::Minutes(2);
  // One that holds an assignment and says nothing for so long is killed; the
  // time it waits for a slab does not count.
  absl::Duration trainer_timeout = absl::Minutes(10);
  // A trainer that does not answer `stop now` is killed after this.
  absl::Duration stop_patience = absl::Seconds(10);
};

// What the first trainer of a slot says of itself.
struct SlotStart {
  v1::Slot slot;
  std::vector<v1::PluginDescription> plugins;
  std::vector<v1::RefusedPlugin> refused_plugins;
};

// What a slot says to the agent, from its own thread.
struct SlotEvents {
  // Once: the first trainer is ready and says on what device, or the reason
  // why it is not.
  std::function<void(absl::StatusOr<SlotStart>)> on_first_start;
  // Once, after HandBack: the slot holds no attempt any more.
  std::function<void()> on_handed_back;
};

// What a slot is to do; no assignment: be free.
struct DesiredWork {
  std::optional<v1::Assignment> assignment;
  // Finish the running epoch, then hand the attempt back.
  bool release = false;
  // For commits.
  std::string cluster_id;
};

// Brings what a slot does to what it is to do.
//
// A trainer is kept ready, before there is work and after it; a failure, or
// isolate_trials, replaces it. An attempt goes: fetch its sources, assign,
// store snapshots one after another while it trains, end. It ends on the board
// when its trainer is done with it and every snapshot is stored or given up:
// what a trainer snapshotted before it crashed is not lost.
//
// Two threads. The slot's owns all state; it waits for the trainer and for
// closures that others post. The storage thread runs fetches and uploads in
// order and posts what came of them. Whoever waits for storage is never the
// one who answers the scheduler.
//
// Borrows all it is made with. Any thread may call.
class Slot final {
 public:
  static absl::StatusOr<std::unique_ptr<Slot>> Create(
      SlotOptions options, SlotEvents events, AttemptBoard& board,
      StorageClient& storage, MemoryBudget& memory, AgentMetrics& metrics,
      RandomStream jitter);

  // Gives up what is not stored, ends the trainer, joins the threads.
  ~Slot();
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  // An attempt that is held and not wanted ends at once, RELEASED.
  void SetDesired(DesiredWork desired);

  // Stops training at once, stores the snapshots there are, ends the attempt
  // RELEASED, and takes no other.
  void HandBack();

 private:
  using FetchedSources = std::vector<FetchedSource>;

  struct Ending {
    v1::Attempt::State state = v1::Attempt::STATE_UNSPECIFIED;
    v1::Failure failure;
  };
  // The attempt held.
  struct Current {
    AttemptKey key;
    v1::Assignment assignment;
    std::string cluster_id;
    StopEvent cancel;  // Of the storage thread's jobs for it.
    int64_t job_count = 0;

    bool sources_ready = false;
    FetchedSources fetched;  // Until the trainer has them.
    // Epoch 0's record: sources as they come, steps with `started`.
    v1::Initialization initialization;
    std::vector<MemoryBudget::Share> source_shares;  // From then on.
    bool trainer_busy = false;  // `assign` sent, no end of it heard.
    std::optional<Started> started;
    bool slabs_sent = false;  // It may fill them.
    std::optional<EpochDone> measured;
    int64_t snapshot_epoch = -1;  // The last one.
    // What it said last may be followed by a wait for a slab: an epoch to copy,
    // or a snapshot that took the slab in which it trains.
    bool needs_slab = false;
    std::string waiting_for;  // As AttemptStatus.waiting_for.
    std::optional<StopMode> stop_sent;
    std::optional<Ending> ending;  // Once it is decided.

    // Of the storage thread: digest of the last stored epoch's manifest.
    std::string parent_digest;
  };

  Slot(SlotOptions options, SlotEvents events, TrainerLog log,
       AttemptBoard& board, StorageClient& storage, MemoryBudget& memory,
       AgentMetrics& metrics, RandomStream jitter);

  void Post(std::function<void()> closure);
  void Store(std::function<void()> job);
  void Run();
  void RunStorage();
  StorageRetry RetryWith(RandomStream jitter);
  void Wait();
  bool RunPosted();

  // Desired against actual.
  void Reconcile();
  void Begin();
  void FetchSources();
  // On the storage thread, in order; fails with the first that fails.
  absl::StatusOr<FetchedSources> FetchAll(
      const std::vector<std::string>& checkpoints, SourceRole role,
      const StopEvent& cancel);
  void OnFetched(absl::StatusOr<FetchedSources> fetched);
  void AssignIfReady();
  // A job of the attempt's has to wait for storage; empty: no longer.
  void OnWaiting(std::string waiting_for);
  // Whether nothing but storage holds the attempt up.
  bool WaitsForStorage() const;
  // Counts the time since the last call, if the slot waited in it.
  void CountStall();
  void Decide(v1::Attempt::State state, v1::Failure failure = {});
  void SendStop(StopMode mode);
  void GiveUp(bool keep_snapshots);
  void EndIfOver();

  // The trainer.
  void StartTrainer();
  void ReadTrainer();
  // Sends. A trainer that does not read is killed by CheckDeadlines.
  void Tell(const AgentMessage& message,
            absl::Span<const int> descriptors = {});
  // Whether it may be waiting for a slab, and has none.
  bool WaitsForSlab() const;
  // When it has been silent for too long.
  absl::Duration SilentUntil() const;
  void CheckDeadlines();
  void OnTrainerEnded(v1::Failure failure);
  void EndTrainer();
  void KillTrainer(v1::Failure::Reason reason, const std::string& why);
  absl::Status Handle(const TrainerMessage& message);
  absl::Status On(const Ready& ready);
  absl::Status On(const Started& started);
  absl::Status On(const Step& step);
  absl::Status On(const Initializing& initializing);
  absl::Status On(const Heartbeat& heartbeat);
  absl::Status On(const EpochDone& epoch);
  absl::Status On(const Snapshot& snapshot);
  absl::Status On(const Paused& paused);
  absl::Status On(const Finished& finished);
  absl::Status On(const Failed& failed);
  void StoreSnapshot(int64_t slab, v1::EpochReport report);
  void OnStored(int64_t slab, v1::EpochReport report,
                absl::StatusOr<storage::Digest> digest);

  const SlotOptions options_;
  const SlotEvents events_;
  AttemptBoard& board_;
  AgentMetrics& metrics_;
  Clock& clock_;
  const UniqueFd wake_;  // An eventfd.

  // Of the slot's thread.
  TrainerLog log_;
  SlabPool slabs_;
  Backoff restart_backoff_;  // Begins anew with each attempt that is served.
  DesiredWork desired_;
  bool handing_back_ = false;
  bool said_handed_back_ = false;
  std::unique_ptr<Current> current_;
  std::unique_ptr<TrainerProcess> trainer_;
  std::optional<Ready> ready_;              // Of this trainer.
  bool started_once_ = false;               // on_first_start was called.
  int killed_starts_ = 0;                   // Ended by a signal before that.
  std::vector<PluginDescription> plugins_;  // Of the first start.
  // Monotonic deadlines.
  absl::Duration start_at_ = absl::ZeroDuration();
  absl::Duration ready_until_ = absl::InfiniteDuration();
  absl::Duration stopped_until_ = absl::InfiniteDuration();
  // When the trainer last said something or was given something to do.
  absl::Duration heard_at_ = absl::ZeroDuration();
  absl::Status send_status_;  // Of all that this trainer was sent.
  // When CountStall last saw that the slot waits for storage.
  std::optional<absl::Duration> stalled_at_;

  // Of the storage thread.
  Uploader uploader_;
  Fetcher fetcher_;

  Mutex mu_;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::function<void()>> posted_ ABSL_GUARDED_BY(mu_);
  // Bounded by the slabs, and one fetch.
  std::deque<std::function<void()>> jobs_ ABSL_GUARDED_BY(mu_);

  std::thread storage_thread_;
  std::thread thread_;
};

}  // namespace headstart::worker
