// Collects and compacts from time to time, and keeps the store's metrics.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/net/telemetry.h"
#include "headstart/v1/manifest.pb.h"
#include "storage/catalog/rocksdb_catalog.h"
#include "storage/pack/pack_store.h"
#include "storage/retention/collector.h"
#include "storage/retention/compactor.h"

namespace headstart::storage {

// A thread that wakes every quarter of the grace period, and at least every 15
// seconds: collects, rewrites closed packs that are half dead, and sets these,
// most of them only if anything has changed, as that reads all manifests:
//   headstart_checkpoint_bytes{reason}
//   headstart_storage_checkpoints
//   headstart_storage_dead_bytes, _free_bytes, _pack_bytes
//   headstart_blobs_quarantined_total
//   headstart_collector_last_success_timestamp_seconds
//   headstart_collector_forgotten_checkpoints_total
//   headstart_compactor_freed_bytes_total
//   headstart_storage_usage_passes_total
// What goes wrong is logged and tried again the next time.
//
// Borrows all it is given, until Stop.
class RetentionLoop {
 public:
  struct Parts {
    RocksdbCatalog& catalog;
    PackStore& blobs;
    Collector& collector;
    Compactor& compactor;
    Telemetry& telemetry;
    Clock& clock;
  };

  // `folder` is where the packs are, for the free bytes of its disk.
  RetentionLoop(const Parts& parts, std::string folder, absl::Duration grace);
  ~RetentionLoop();

  RetentionLoop(const RetentionLoop&) = delete;
  RetentionLoop& operator=(const RetentionLoop&) = delete;

  // Ends the thread, after the pass it may be in. Repeating changes nothing.
  void Stop();

 private:
  void Run();
  void CollectAndCompact();
  void SetGauges();
  bool SetUsage();  // Whether it could.

  const Parts parts_;
  const std::string folder_;
  const absl::Duration interval_;

  std::map<v1::ReferenceReason, prometheus::Gauge*> checkpoint_bytes_;
  prometheus::Gauge& checkpoints_;
  prometheus::Gauge& dead_bytes_;
  prometheus::Gauge& free_bytes_;
  prometheus::Gauge& pack_bytes_;
  prometheus::Gauge& last_success_seconds_;
  prometheus::Counter& forgotten_;
  prometheus::Counter& freed_bytes_;
  prometheus::Counter& usage_passes_;
  const std::unique_ptr<Telemetry::Callback> quarantined_;

  // The catalog's version and the packs that the gauges show.
  std::optional<std::pair<int64_t, std::vector<PackUsage>>> shown_;

  StopEvent stop_;
  std::thread thread_;
};

}  // namespace headstart::storage
