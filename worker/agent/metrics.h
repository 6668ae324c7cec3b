// What the agent counts for itself and its trainers.
#pragma once

#include "base/net/telemetry.h"
#include "headstart/v1/trial.pb.h"
#include "worker/trainer_protocol/messages.h"

namespace headstart::worker {

// Every series of the agent, at 0 from the start. Storage traffic is counted by
// StorageClient. Any thread may count.
struct AgentMetrics {
  explicit AgentMetrics(Telemetry& telemetry);

  // An epoch's seconds by phase.
  void CountEpoch(const PhaseSeconds& seconds);
  // What came before an attempt's first epoch or after its last: phases that
  // took no time are not observed.
  void CountRest(const PhaseSeconds& seconds);
  // An attempt's end on this worker.
  void CountAttempt(v1::Attempt::State state);

  prometheus::Gauge& slots;
  prometheus::Gauge& busy_slots;
  prometheus::Counter& trainer_starts;
  prometheus::Counter& deduplicated_bytes;
  prometheus::Counter& stall_seconds;

 private:
  prometheus::Histogram& train_seconds_;
  prometheus::Histogram& evaluate_seconds_;
  prometheus::Histogram& snapshot_seconds_;
  prometheus::Histogram& stall_seconds_;
  prometheus::Histogram& initialize_seconds_;
  prometheus::Counter& succeeded_;
  prometheus::Counter& released_;
  prometheus::Counter& failed_;
};

}  // namespace headstart::worker
