#include "worker/cuda/fake_device.h"

#include <cstring>

#include <ATen/ops/empty.h>

namespace headstart::worker {
namespace {

class Now final : public DeviceEvent {
 public:
  bool Done() override { return true; }
  void Wait() override {}
};

// A copy that is done when it is waited for, or asked about for a second time:
// what it copies must still be there.
class LateCopy final : public DeviceEvent {
 public:
  LateCopy(const void* from, int64_t bytes, void* to)
      : from_(from), bytes_(bytes), to_(to) {}
  bool Done() override {
    if (++asked_ > 1) Wait();
    return done_;
  }
  void Wait() override {
    if (!done_) std::memcpy(to_, from_, bytes_);
    done_ = true;
  }

 private:
  const void* const from_;
  const int64_t bytes_;
  void* const to_;
  int asked_ = 0;
  bool done_ = false;
};

class Again final : public Recording {
 public:
  Again(std::function<void()> work, int64_t& replays)
      : work_(std::move(work)), replays_(replays) {}
  void Replay() override {
    ++replays_;
    work_();
  }

 private:
  const std::function<void()> work_;
  int64_t& replays_;
};

template <typename T>
void CountAs(const CountArguments& of) {
  for (int64_t row = 0; row < CountedRows(of); ++row) {
    const Sums adds = CountRow<T>(of, row);
    of.sums->loss += adds.loss;
    of.sums->correct += adds.correct;
  }
  of.sums->loss += PartLoss<T>(of);
}

}  // namespace

at::Tensor FakeDevice::HostMemory(int64_t bytes) {
  return at::empty({bytes}, at::kByte);
}

bool FakeDevice::Pin(void* memory, int64_t bytes) {
  return pinned.emplace(memory, bytes).second;
}

void FakeDevice::Unpin(void* memory) { pinned.erase(memory); }

void FakeDevice::Assemble(const AssembleArguments& arguments) {
  const int64_t pixels = arguments.rows * arguments.height * arguments.width;
  for (int64_t i = 0; i < pixels; ++i) AssemblePixel(arguments, i);
}

void FakeDevice::Update(const UpdateArguments& arguments,
                        std::span<const StepTensor> tensors) {
  for (const StepTensor& tensor : tensors) {
    for (int64_t i = 0; i < tensor.count; ++i) {
      if (arguments.is_double) {
        UpdateNumber<double>(arguments, tensor, i);
      } else {
        UpdateNumber<float>(arguments, tensor, i);
      }
    }
  }
}

void FakeDevice::Count(const CountArguments& arguments) {
  if (arguments.is_double) {
    CountAs<double>(arguments);
  } else {
    CountAs<float>(arguments);
  }
}

std::unique_ptr<DeviceEvent> FakeDevice::Mark() {
  return std::make_unique<Now>();
}

std::unique_ptr<DeviceEvent> FakeDevice::CopyOut(const void* from,
                                                 int64_t bytes, void* to) {
  return std::make_unique<LateCopy>(from, bytes, to);
}

std::unique_ptr<Recording> FakeDevice::Record(const std::function<void()>& work,
                                              std::string& why) {
  if (can_record) return std::make_unique<Again>(work, replays);
  why = "it is told not to";
  return nullptr;
}

}  // namespace headstart::worker
