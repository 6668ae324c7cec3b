// A run's state on a device, and its snapshots.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"

#include "base/clock.h"
#include "worker/cuda/device.h"
#include "worker/trainer/host.h"
#include "worker/trainer/training_run.h"

namespace headstart::worker {

// Moves the tensors of a run to a device, where they lie one after another as
// in every slab, and stay at their addresses. What the host writes, the number
// of steps and what NoteEpoch does, remains with the host.
//
// A snapshot is one copy within the device, after which the run goes on, and a
// copy from there to a slab beside it; the host is told when that is over.
class DeviceState final {
 public:
  // After host.Begin. All must outlive it.
  DeviceState(Device& device, TrainingRun& run, Clock& clock, Host& host);
  // Waits for copies that are under way.
  ~DeviceState();
  DeviceState(const DeviceState&) = delete;
  DeviceState& operator=(const DeviceState&) = delete;

  // As Engine's.
  absl::Status TakeSnapshot(int64_t epoch, PhaseSeconds& seconds);
  absl::Status Deliver(bool wait);
  int64_t delivered_epoch() const { return delivered_epoch_; }

 private:
  struct Pending {
    int64_t epoch;
    int64_t slab;
    std::unique_ptr<DeviceEvent> copied;
  };

  // Pins a slab that is used for the first time.
  void Pin(int64_t slab);

  Device& device_;
  TrainingRun& run_;
  Clock& clock_;
  Host& host_;
  int64_t bytes_ = 0;  // Of the table's part that is on the device.
  at::Tensor arena_;
  at::Tensor snapshot_;
  std::optional<Pending> pending_;
  int64_t delivered_epoch_ = -1;
  absl::flat_hash_set<int64_t> seen_;  // Slabs.
  std::vector<void*> pinned_;
};

}  // namespace headstart::worker
