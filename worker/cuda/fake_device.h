// A device whose memory is the host's: kernels run index by index, recordings
// do their work again. What runs on it gives the CPU's numbers.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "worker/cuda/device.h"

namespace headstart::worker {

class FakeDevice final : public Device {
 public:
  at::Device torch_device() const override { return at::Device(at::kCPU); }
  std::string name() const override { return "fake"; }
  int64_t FreeBytes() override { return free_bytes; }
  int64_t TakePeakBytes() override { return 1; }
  void SeedGenerator(uint64_t) override { ++seeded; }
  at::Tensor HostMemory(int64_t bytes) override;
  bool Pin(void* memory, int64_t bytes) override;
  void Unpin(void* memory) override;
  void Assemble(const AssembleArguments& arguments) override;
  void Update(const UpdateArguments& arguments,
              std::span<const StepTensor> tensors) override;
  void Count(const CountArguments& arguments) override;
  std::unique_ptr<DeviceEvent> Mark() override;
  std::unique_ptr<DeviceEvent> CopyOut(const void* from, int64_t bytes,
                                       void* to) override;
  std::unique_ptr<Recording> Record(const std::function<void()>& work,
                                    std::string& why) override;

  int64_t free_bytes = int64_t{1} << 40;
  bool can_record = true;
  int64_t seeded = 0;
  int64_t replays = 0;
  std::map<void*, int64_t> pinned;
};

}  // namespace headstart::worker
