// The scheduler's Prometheus metrics.
#pragma once

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/net/telemetry.h"
#include "scheduler/core/scheduler.h"

namespace headstart::scheduler {

// Counts what the engine does and shows what the scheduler holds.
//
// Per study there are series for the 50 newest live ones only, so a long-lived
// scheduler does not grow its scrape without end.
//
// CountCommand may be called from any thread, the rest from the engine's.
class Metrics {
 public:
  explicit Metrics(Telemetry& telemetry);
  ~Metrics();

  void CountCommand(const Command& command, absl::StatusCode code);
  void CountExpiredLease();
  void ObserveDecide(absl::Duration duration);
  void ObserveAppend(absl::Duration duration);

  // Takes the gauges from the state, which must be durable.
  void Update(const Scheduler& scheduler);
  // The same, at most once a second and only when something has happened.
  void UpdateNowAndThen(const Scheduler& scheduler, absl::Duration now);

 private:
  // What the last Update saw, for the scraping thread.
  struct Gauges {
    std::vector<Sample> studies;
    std::vector<Sample> trials;
    std::vector<Sample> trainings;
    std::vector<Sample> training_runs;
    std::vector<Sample> workers;
    std::vector<Sample> study_trials;
    std::vector<Sample> study_best_objective;
    std::vector<Sample> study_epochs;
  };

  Telemetry::ReadFunction Reader(std::vector<Sample> Gauges::*samples);

  // By command and code; complete since the constructor.
  std::vector<absl::flat_hash_map<absl::StatusCode, prometheus::Counter*>>
      commands_;
  prometheus::Counter& leases_expired_;
  prometheus::Histogram& decide_seconds_;
  prometheus::Histogram& append_seconds_;

  int64_t updated_events_ = -1;
  absl::Duration updated_at_;

  Mutex mu_;
  Gauges gauges_ ABSL_GUARDED_BY(mu_);

  // Last: they read what is above.
  std::vector<std::unique_ptr<Telemetry::Callback>> callbacks_;
};

}  // namespace headstart::scheduler
