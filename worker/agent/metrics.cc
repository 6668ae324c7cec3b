#include "worker/agent/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include "base/check.h"

namespace headstart::worker {
namespace {

prometheus::Histogram& EpochSeconds(Telemetry& telemetry, const char* phase) {
  return telemetry.AddHistogram(
      "headstart_epoch_seconds",
      "Seconds of an epoch by phase; their sum is the epoch.",
      Buckets::kWorkSeconds, {{"phase", phase}});
}

prometheus::Counter& Attempts(Telemetry& telemetry, const char* state) {
  return telemetry.AddCounter("headstart_worker_attempts_total",
                              "Attempts ended on this worker, by how.",
                              {{"state", state}});
}

}  // namespace

AgentMetrics::AgentMetrics(Telemetry& telemetry)
    : slots(telemetry.AddGauge("headstart_worker_slots",
                               "Slots of this worker.")),
      busy_slots(telemetry.AddGauge("headstart_worker_slots_busy",
                                    "Slots that hold an attempt.")),
      trainer_starts(telemetry.AddCounter(
          "headstart_worker_trainer_starts_total",
          "Trainer processes started. One per slot, then one after each "
          "failure or, with --isolate-trials, each attempt.")),
      deduplicated_bytes(telemetry.AddCounter(
          "headstart_upload_deduplicated_bytes_total",
          "Bytes of tensors not sent since storage had them already.")),
      stall_seconds(telemetry.AddCounter(
          "headstart_checkpoint_stall_seconds_total",
          "Seconds that slots waited for storage, counted as they pass: "
          "training for a free slab, or an attempt for a store that refuses.")),
      train_seconds_(EpochSeconds(telemetry, "train")),
      evaluate_seconds_(EpochSeconds(telemetry, "evaluate")),
      snapshot_seconds_(EpochSeconds(telemetry, "snapshot")),
      stall_seconds_(EpochSeconds(telemetry, "stall")),
      initialize_seconds_(EpochSeconds(telemetry, "initialize")),
      succeeded_(Attempts(telemetry, "succeeded")),
      released_(Attempts(telemetry, "released")),
      failed_(Attempts(telemetry, "failed")) {}

void AgentMetrics::CountEpoch(const PhaseSeconds& seconds) {
  train_seconds_.Observe(seconds.train);
  evaluate_seconds_.Observe(seconds.evaluate);
  snapshot_seconds_.Observe(seconds.snapshot);
  stall_seconds_.Observe(seconds.stall);
  // Between levels and stages.
  if (seconds.initialize > 0) initialize_seconds_.Observe(seconds.initialize);
}

void AgentMetrics::CountRest(const PhaseSeconds& seconds) {
  if (seconds.train > 0) train_seconds_.Observe(seconds.train);
  if (seconds.evaluate > 0) evaluate_seconds_.Observe(seconds.evaluate);
  if (seconds.snapshot > 0) snapshot_seconds_.Observe(seconds.snapshot);
  if (seconds.stall > 0) stall_seconds_.Observe(seconds.stall);
  if (seconds.initialize > 0) initialize_seconds_.Observe(seconds.initialize);
}

void AgentMetrics::CountAttempt(v1::Attempt::State state) {
  switch (state) {
    case v1::Attempt::SUCCEEDED:
      return succeeded_.Increment();
    case v1::Attempt::RELEASED:
      return released_.Increment();
    case v1::Attempt::FAILED:
      return failed_.Increment();
    default:
      HS_CHECK(false) << "state " << state;
  }
}

}  // namespace headstart::worker
