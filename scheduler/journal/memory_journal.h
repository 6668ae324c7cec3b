// A journal in memory, for tests and the simulator.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "scheduler/journal/journal.h"

namespace headstart::scheduler {

// Keeps the bytes of each event, as a disk would, so what is read has been
// through serialization. It outlives the scheduler that a test restarts.
class MemoryJournal final : public Journal {
 public:
  explicit MemoryJournal(std::string cluster_id = std::string(32, '0'))
      : cluster_id_(std::move(cluster_id)) {}

  absl::Status Append(absl::Span<const Event> events) override {
    MutexLock lock(&mu_);
    if (append_error_.ok() || keep_failed_) {
      for (const Event& event : events) {
        events_.push_back(event.SerializeAsString());
      }
      append_count_ += 1;
    }
    return append_error_;
  }

  absl::Status ReadFrom(
      int64_t sequence,
      absl::FunctionRef<absl::Status(int64_t sequence, const Event& event)>
          visitor) const override {
    const std::vector<std::string> events = Copy();
    const auto last = static_cast<int64_t>(events.size());
    for (int64_t i = sequence; i <= last; ++i) {
      Event event;
      HS_CHECK(event.ParseFromString(events[i - 1]));
      HS_RETURN_IF_ERROR(visitor(i, event));
    }
    return absl::OkStatus();
  }

  int64_t last_sequence() const override {
    MutexLock lock(&mu_);
    return static_cast<int64_t>(events_.size());
  }
  const std::string& cluster_id() const override { return cluster_id_; }
  absl::StatusOr<int64_t> FreeBytes() const override {
    MutexLock lock(&mu_);
    return free_bytes_;
  }

  // How many groups were appended.
  int64_t append_count() const {
    MutexLock lock(&mu_);
    return append_count_;
  }

  // Every Append from now on returns `error`. Whether it keeps the events all
  // the same is the caller's choice, as it is chance on a disk. OK ends it.
  void FailAppends(absl::Status error, bool keep_events) {
    MutexLock lock(&mu_);
    append_error_ = std::move(error);
    keep_failed_ = keep_events;
  }
  void set_free_bytes(int64_t bytes) {
    MutexLock lock(&mu_);
    free_bytes_ = bytes;
  }

 private:
  std::vector<std::string> Copy() const {
    MutexLock lock(&mu_);
    return events_;
  }

  const std::string cluster_id_;
  mutable Mutex mu_;
  std::vector<std::string> events_ ABSL_GUARDED_BY(mu_);
  int64_t append_count_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status append_error_ ABSL_GUARDED_BY(mu_);
  bool keep_failed_ ABSL_GUARDED_BY(mu_) = false;
  int64_t free_bytes_ ABSL_GUARDED_BY(mu_) =
      std::numeric_limits<int64_t>::max();
};

}  // namespace headstart::scheduler
