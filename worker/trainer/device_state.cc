#include "worker/trainer/device_state.h"

#include <algorithm>
#include <cstring>
#include <exception>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <c10/core/Storage.h>

#include "base/check.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "worker/trainer/phase_timer.h"

namespace headstart::worker {
namespace {

// What only resuming needs, and the number of steps, the optimizer's only
// integer.
bool StaysOnHost(const StateTensor& tensor) {
  return tensor.role == TensorRole::kState ||
         (tensor.role == TensorRole::kOptimizer &&
          tensor.tensor.scalar_type() == at::kLong);
}

}  // namespace

DeviceState::DeviceState(Device& device, TrainingRun& run, Clock& clock,
                         Host& host)
    : device_(device), run_(run), clock_(clock), host_(host) {
  const TensorTable& table = run.started.tensors;
  HS_CHECK_EQ(run.state.size(), table.size());
  for (size_t i = 0; i < table.size(); ++i) {
    if (StaysOnHost(run.state[i])) continue;
    // Those that stay come last, so that a snapshot is one copy.
    HS_CHECK(i == 0 || !StaysOnHost(run.state[i - 1])) << table[i].name;
    bytes_ = std::max(bytes_, table[i].offset + table[i].bytes);
  }
  const at::Device where = device.torch_device();
  arena_ = at::zeros({bytes_}, at::TensorOptions(at::kByte).device(where));
  snapshot_ = at::empty_like(arena_);
  for (size_t i = 0; i < table.size(); ++i) {
    const at::Tensor& tensor = run.state[i].tensor;
    if (StaysOnHost(run.state[i])) continue;
    at::Tensor there = at::empty({0}, tensor.options().device(where));
    there.set_(arena_.storage(), table[i].offset / tensor.element_size(),
               tensor.sizes(), tensor.strides());
    there.copy_(tensor.detach());
    tensor.set_data(there);
  }
}

DeviceState::~DeviceState() {
  if (pending_.has_value()) {
    try {
      pending_->copied->Wait();
    } catch (const std::exception& error) {
      HS_LOG(kWarning, "a copy from the device failed why=\"{}\"",
             error.what());
    }
  }
  for (void* memory : pinned_) device_.Unpin(memory);
}

void DeviceState::Pin(int64_t slab) {
  if (!seen_.insert(slab).second) return;
  const Slab& memory = host_.slab(slab);
  if (device_.Pin(memory.data(), memory.bytes())) {
    pinned_.push_back(memory.data());
  } else if (seen_.size() == 1) {
    HS_LOG(kWarning,
           "checkpoints wait for their copies why=\"CUDA does not pin a "
           "slab's memory\"");
  }
}

absl::Status DeviceState::TakeSnapshot(int64_t epoch, PhaseSeconds& seconds) {
  HS_RETURN_IF_ERROR(Deliver(/*wait=*/true));  // snapshot_ is to be free.
  std::optional<int64_t> slab;
  {
    const PhaseTimer timer(clock_, seconds.stall);
    slab = host_.AcquireSlab();
  }
  if (!slab.has_value()) return absl::CancelledError();
  const PhaseTimer timer(clock_, seconds.snapshot);
  Pin(*slab);
  NoteEpoch(run_, epoch);
  const TensorTable& table = run_.started.tensors;
  for (size_t i = 0; i < table.size(); ++i) {
    if (!StaysOnHost(run_.state[i])) continue;
    std::memcpy(host_.slab(*slab).Tensor(table[i]).data(),
                run_.state[i].tensor.const_data_ptr(), table[i].bytes);
  }
  snapshot_.copy_(arena_);
  pending_ = {.epoch = epoch,
              .slab = *slab,
              .copied = device_.CopyOut(snapshot_.const_data_ptr(), bytes_,
                                        host_.slab(*slab).data())};
  return absl::OkStatus();
}

absl::Status DeviceState::Deliver(bool wait) {
  if (!pending_.has_value()) return absl::OkStatus();
  if (!wait && !pending_->copied->Done()) return absl::OkStatus();
  pending_->copied->Wait();
  const Snapshot message = {.epoch = pending_->epoch, .slab = pending_->slab};
  pending_.reset();
  delivered_epoch_ = message.epoch;
  return host_.Send(message);
}

}  // namespace headstart::worker
