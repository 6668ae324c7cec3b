#include "storage/retention/retention_loop.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "storage/retention/usage.h"

namespace headstart::storage {
namespace {

constexpr absl::Duration kIntervalMax = absl::Seconds(15);
constexpr absl::Duration kIntervalMin = absl::Milliseconds(100);

}  // namespace

RetentionLoop::RetentionLoop(const Parts& parts, std::string folder,
                             absl::Duration grace)
    : parts_(parts),
      folder_(std::move(folder)),
      interval_(std::clamp(grace / 4, kIntervalMin, kIntervalMax)),
      checkpoints_(parts.telemetry.AddGauge("headstart_storage_checkpoints",
                                            "Checkpoints that are stored")),
      dead_bytes_(
          parts.telemetry.AddGauge("headstart_storage_dead_bytes",
                                   "Bytes in packs that no checkpoint needs")),
      free_bytes_(parts.telemetry.AddGauge(
          "headstart_storage_free_bytes",
          "Free bytes of the file system that packs are on")),
      pack_bytes_(parts.telemetry.AddGauge("headstart_storage_pack_bytes",
                                           "Size of all pack files")),
      last_success_seconds_(parts.telemetry.AddGauge(
          "headstart_collector_last_success_timestamp_seconds",
          "When the collector last went through without an error, as a Unix "
          "time")),
      forgotten_(parts.telemetry.AddCounter(
          "headstart_collector_forgotten_checkpoints_total",
          "Checkpoints that the collector forgot because nothing kept them")),
      freed_bytes_(parts.telemetry.AddCounter(
          "headstart_compactor_freed_bytes_total",
          "Bytes that packs shrank by when they were rewritten")),
      usage_passes_(parts.telemetry.AddCounter(
          "headstart_storage_usage_passes_total",
          "Times that all manifests were read to see what is kept for what")),
      quarantined_(parts.telemetry.AddCounterCallback(
          "headstart_blobs_quarantined_total",
          "Blobs that were found damaged, or their pack gone",
          [&packs = parts.blobs]() -> std::vector<Sample> {
            return {{{}, static_cast<double>(packs.QuarantinedCount())}};
          })) {
  for (int number = v1::ReferenceReason_MIN; number <= v1::ReferenceReason_MAX;
       ++number) {
    if (number == v1::REFERENCE_REASON_UNSPECIFIED) continue;
    const auto reason = static_cast<v1::ReferenceReason>(number);
    checkpoint_bytes_[reason] = &parts_.telemetry.AddGauge(
        "headstart_checkpoint_bytes",
        "Blob bytes that are kept for a reason; a blob kept for several "
        "counts in each",
        {{"reason", absl::AsciiStrToLower(v1::ReferenceReason_Name(reason))}});
  }
  SetGauges();
  thread_ = std::thread([this] { Run(); });
}

RetentionLoop::~RetentionLoop() { Stop(); }

void RetentionLoop::Stop() {
  stop_.Stop();
  if (thread_.joinable()) thread_.join();
}

void RetentionLoop::Run() {
  while (!parts_.clock.WaitFor(interval_, stop_)) {
    CollectAndCompact();
    SetGauges();
  }
}

void RetentionLoop::CollectAndCompact() {
  const auto collected = parts_.collector.Collect();
  if (!collected.ok()) {
    HS_LOG(kError, "collector failed, it tries again error=\"{}\"",
           collected.status());
    return;
  }
  forgotten_.Increment(static_cast<double>(collected->checkpoints_forgotten));
  last_success_seconds_.Set(
      static_cast<double>(absl::ToUnixSeconds(parts_.clock.Now())));
  const auto compacted = parts_.compactor.Compact({}, [&](const Compacted&) {
    return stop_.stopped() ? absl::CancelledError("storage stops")
                           : absl::OkStatus();
  });
  if (compacted.ok()) {
    freed_bytes_.Increment(static_cast<double>(compacted->freed_bytes));
  } else if (!absl::IsCancelled(compacted.status())) {
    HS_LOG(kError, "compactor failed, it tries again error=\"{}\"",
           compacted.status());
  }
}

void RetentionLoop::SetGauges() {
  const auto free_bytes = FreeBytes(folder_);
  if (free_bytes.ok()) {
    free_bytes_.Set(static_cast<double>(*free_bytes));
  } else {
    HS_LOG(kError, "free bytes are not known error=\"{}\"",
           free_bytes.status());
  }
  // Before the look, so that what changes meanwhile is looked at next time.
  auto now = std::make_pair(parts_.catalog.version(), parts_.blobs.Packs());
  if (shown_ == now) return;
  if (SetUsage()) shown_ = std::move(now);
}

bool RetentionLoop::SetUsage() {
  usage_passes_.Increment();
  const auto usage = ComputeUsage(parts_.catalog, parts_.blobs, folder_, "");
  if (!usage.ok()) {
    HS_LOG(kError, "usage is not known error=\"{}\"", usage.status());
    return false;
  }
  checkpoints_.Set(static_cast<double>(usage->checkpoint_count()));
  dead_bytes_.Set(static_cast<double>(usage->dead_bytes()));
  pack_bytes_.Set(static_cast<double>(usage->pack_bytes()));
  for (const auto& [reason, gauge] : checkpoint_bytes_) {
    const auto& sums = usage->by_reason();
    const auto it = std::find_if(
        sums.begin(), sums.end(),
        [reason = reason](const auto& s) { return s.reason() == reason; });
    gauge->Set(it == sums.end() ? 0 : static_cast<double>(it->bytes()));
  }
  return true;
}

}  // namespace headstart::storage
