// The worker's process: slots on one side, Synchronize on the other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/net/telemetry.h"
#include "headstart/v1/worker_service.grpc.pb.h"
#include "worker/agent/attempt_board.h"
#include "worker/agent/backoff.h"
#include "worker/agent/memory_budget.h"
#include "worker/agent/metrics.h"
#include "worker/agent/slot.h"
#include "worker/agent/slot_spec.h"
#include "worker/agent/storage_client.h"

namespace headstart::worker {

struct AgentOptions {
  std::string name;  // workers/{id}
  // Where the scheduler's worker listener is, as grpc::CreateChannel takes it;
  // or, when empty, the folder whose file scheduler-worker says so. The file is
  // read again whenever the scheduler does not answer.
  std::string scheduler_address;
  std::string endpoints_from;
  std::vector<SlotSpec> slots;
  std::string trainer_program;
  std::vector<std::string> dataset_folders;
  std::string plugin_folder;  // Empty: no plug-ins.
  std::string data_folder;    // Exists, and is this agent's alone.
  int64_t slab_count = 3;
  bool isolate_trials = false;

  // How long an agent that is to end waits for snapshots to be stored, and
  // after that for the scheduler to hear of it.
  absl::Duration store_patience = absl::Seconds(10);
  absl::Duration report_patience = absl::Seconds(5);
  // As in SlotOptions.
  absl::Duration stop_patience = absl::Seconds(10);
  absl::Duration trainer_timeout = absl::Minutes(10);
};

// Keeps the scheduler and the slots in step: current state up, desired state
// down, over and over (worker_service.proto).
//
// A call waits at the scheduler until there is something to do. When the board
// has news meanwhile, a call that carries none is cancelled and made again. A
// scheduler that is away is asked again with growing pauses; the slots go on
// and the news wait on the board.
//
// It ends by itself, and says so with `on_end`, when there is no point in
// going on: a trainer cannot be started at all, a newer agent has this name,
// the scheduler speaks another protocol or belongs to another cluster.
//
// Nothing is taken over from an earlier process: its attempts are lost when
// their leases run out or the scheduler sees the new incarnation, and what it
// committed is there to resume from.
class Agent final {
 public:
  // Starts everything. `telemetry` outlives the agent. `on_end` is called from
  // the agent's thread, at most once.
  static absl::StatusOr<std::unique_ptr<Agent>> Start(
      AgentOptions options, Telemetry& telemetry, std::function<void()> on_end);

  // As Stop, if that was not called.
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Hands all attempts back (what is snapshotted is stored, what is reported
  // is recorded, each for as long as the options allow), ends the trainers,
  // and returns. Not OK: the agent had ended by itself, and why.
  absl::Status Stop();

 private:
  Agent(AgentOptions options, Telemetry& telemetry,
        std::function<void()> on_end, int64_t incarnation);

  absl::Status CreateSlots();
  TrainerOptions TrainerFor(const SlotSpec& slot) const;

  // The agent's thread.
  void Run();
  absl::Status AwaitSlots();
  absl::Status SynchronizeUntilStopped();
  // One call and what follows from it.
  absl::Status SynchronizeOnce();
  bool Drained();
  absl::Status Connect();
  absl::Status Call(const v1::SynchronizeRequest& request, int64_t news_count,
                    v1::SynchronizeResponse& response);
  v1::SynchronizeRequest MakeRequest() const;
  absl::Status Obey(const v1::SynchronizeResponse& response);

  // Something is to be told that the call in progress may not carry.
  void OnNews();

  const AgentOptions options_;
  const std::function<void()> on_end_;
  const int64_t incarnation_;
  Clock& clock_;
  AgentMetrics metrics_;
  StorageClient storage_;
  MemoryBudget memory_;
  AttemptBoard board_;

  Mutex mu_;
  std::vector<std::optional<absl::StatusOr<SlotStart>>> slot_starts_
      ABSL_GUARDED_BY(mu_);
  int64_t handed_back_count_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // The call in progress, and whether news should end it.
  grpc::ClientContext* call_ ABSL_GUARDED_BY(mu_) = nullptr;
  bool call_waits_ ABSL_GUARDED_BY(mu_) = false;
  // Grows with all that should end a call that waits.
  int64_t news_count_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status end_status_ ABSL_GUARDED_BY(mu_);

  // Of the agent's thread.
  std::vector<v1::Slot> slot_descriptions_;
  // All trainers have the same plug-ins: these are the first slot's.
  std::vector<v1::PluginDescription> plugins_;
  std::vector<v1::RefusedPlugin> refused_plugins_;
  std::string connected_to_;
  std::unique_ptr<v1::WorkerService::Stub> scheduler_;
  Backoff backoff_;
  std::string cluster_id_;
  int64_t seen_version_ = 0;
  absl::Duration lease_duration_ = absl::Seconds(60);
  bool draining_ = false;
  bool drain_told_ = false;  // The scheduler has answered a draining call.
  absl::Duration drain_until_ = absl::InfiniteDuration();

  StopEvent stop_;  // Ends pauses.
  std::vector<std::unique_ptr<Slot>> slots_;
  std::thread thread_;
};

}  // namespace headstart::worker
