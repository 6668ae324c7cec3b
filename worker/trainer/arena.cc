#include "worker/trainer/arena.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <utility>

#include <ATen/ops/empty.h>
#include <c10/core/Allocator.h>
#include <c10/core/Device.h>
#include <c10/core/TensorImpl.h>
#include <torch/csrc/autograd/variable.h>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/log.h"

namespace headstart::worker {
namespace {

// Memory that somebody else owns.
c10::DataPtr Borrow(const Slab& slab) {
  return c10::DataPtr(slab.data(), c10::Device(c10::kCPU));
}

c10::Storage StorageOn(const Slab& slab) {
  return c10::Storage(c10::Storage::use_byte_size_t(), slab.bytes(),
                      Borrow(slab), /*allocator=*/nullptr, /*resizable=*/false);
}

// Whether a step of the optimizer writes all of them.
bool IsStepped(const StateTensor& tensor) {
  return tensor.role == TensorRole::kParameter ||
         tensor.role == TensorRole::kOptimizer;
}

char* Begin(const c10::Storage& storage) {
  return static_cast<char*>(storage.mutable_data());
}

}  // namespace

absl::Status Arena::CanHold(absl::Span<const StateTensor> tensors) {
  absl::flat_hash_set<const void*> seen;
  for (const StateTensor& each : tensors) {
    const auto refuse = [&](const char* why) {
      return absl::FailedPreconditionError(absl::StrCat(each.name, " ", why));
    };
    if (!each.tensor.device().is_cpu()) return refuse("is not on the CPU");
    if (!each.tensor.is_contiguous()) return refuse("is not contiguous");
    if (each.tensor.storage().use_count() != 1 ||
        !seen.insert(each.tensor.unsafeGetTensorImpl()).second) {
      return refuse("shares its memory with another tensor");
    }
  }
  return absl::OkStatus();
}

int64_t Arena::LastLevelCacheBytes() {
  // Not sysconf: on AMD it gives the sum over a socket's groups of cores.
  int64_t largest = 0;
  for (int index = 0;; ++index) {
    std::ifstream file(absl::StrCat("/sys/devices/system/cpu/cpu0/cache/index",
                                    index, "/size"));
    int64_t kibibytes = 0;  // "32768K"
    if (!(file >> kibibytes)) break;
    largest = std::max(largest, kibibytes << 10);
  }
  return largest > 0 ? largest : 32 << 20;  // A server's.
}

Arena::Arena(std::vector<StateTensor> tensors, TensorTable table,
             const Slab& slab, int64_t cache_bytes)
    : tensors_(std::move(tensors)),
      table_(std::move(table)),
      streaming_(SlabBytes(table_) > cache_bytes),
      stepped_(StorageOn(slab)),
      rest_(StorageOn(slab)) {
  HS_CHECK_EQ(tensors_.size(), table_.size());
  CopyToSlab(tensors_, table_, slab);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const StateTensor& each = tensors_[i];
    at::Tensor there = at::empty({0}, each.tensor.options());
    there.set_(IsStepped(each) ? stepped_ : rest_,
               table_[i].offset / each.tensor.element_size(),
               each.tensor.sizes(), each.tensor.strides());
    each.tensor.set_data(there);
  }
}

void Arena::MoveTo(const Slab& next) {
  HS_CHECK(!moving());
  if (Begin(stepped_) == next.data()) return;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (IsStepped(tensors_[i])) continue;
    std::memcpy(next.data() + table_[i].offset, Begin(rest_) + table_[i].offset,
                table_[i].bytes);
  }
  rest_.set_data_ptr_noswap(Borrow(next));
  shift_bytes_ = next.data() - Begin(stepped_);
}

void Arena::Step(Optimizer& optimizer, StepOptions options) {
  if (moving() && GraphIsAlive()) {
    // What was saved for backward would turn into the new values without
    // autograd's knowledge. A copy keeps them until the step in place, which
    // autograd does know of.
    Settle();
    if (!std::exchange(told_of_graph_, true)) {
      HS_LOG(kWarning,
             "checkpoints are copied why=\"the model keeps a graph of autograd "
             "alive over an optimizer step\"");
    }
  }
  if (!moving()) {
    optimizer.Step(options);
    return;
  }
  options.shift_bytes = shift_bytes_;
  options.streaming = streaming_;
  optimizer.Step(options);
  FinishMove();
}

void Arena::Settle() {
  if (!moving()) return;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (!IsStepped(tensors_[i])) continue;
    char* from = Begin(stepped_) + table_[i].offset;
    std::memcpy(from + shift_bytes_, from, table_[i].bytes);
  }
  FinishMove();
}

void Arena::FinishMove() {
  stepped_.set_data_ptr_noswap(
      c10::DataPtr(Begin(stepped_) + shift_bytes_, c10::Device(c10::kCPU)));
  shift_bytes_ = 0;
}

bool Arena::GraphIsAlive() const {
  // A parameter's gradient accumulator lives as long as a graph leads to it.
  for (const StateTensor& each : tensors_) {
    if (each.role == TensorRole::kParameter && each.tensor.requires_grad() &&
        torch::autograd::impl::try_get_grad_accumulator(each.tensor) !=
            nullptr) {
      return true;
    }
  }
  return false;
}

}  // namespace headstart::worker
