// Device: what training on a GPU needs beside LibTorch's operators.
//
// The interface between headstart-trainer and the module that alone is linked
// with CUDA (device_module.h): nothing but LibTorch's and standard types. What
// is asked for happens in the order of the calls, after what LibTorch was asked
// for before, and later than the call. Failures of the device are c10::Error,
// memory that runs out c10::OutOfMemoryError. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "worker/cuda/kernel_math.h"

namespace headstart::worker {

// A point in the order of what a device does.
class DeviceEvent {
 public:
  virtual ~DeviceEvent() = default;
  virtual bool Done() = 0;
  virtual void Wait() = 0;
};

// Work that a device can do again at one call.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void Replay() = 0;
};

class Device {
 public:
  virtual ~Device() = default;

  virtual at::Device torch_device() const = 0;
  // "cuda NVIDIA H200 sm_90": what equal numbers depend on.
  virtual std::string name() const = 0;

  virtual int64_t FreeBytes() = 0;
  // The most that LibTorch held since the last call.
  virtual int64_t TakePeakBytes() = 0;

  // What dropout draws from here on.
  virtual void SeedGenerator(uint64_t seed) = 0;

  // Memory of the host, U8, that copies to and from the device read without
  // waiting. Must not be changed before an event after the copy.
  virtual at::Tensor HostMemory(int64_t bytes) = 0;
  // The same for memory that others made; false where it cannot be, which costs
  // speed alone. Unpin before it goes.
  virtual bool Pin(void* memory, int64_t bytes) = 0;
  virtual void Unpin(void* memory) = 0;

  // The kernels.
  virtual void Assemble(const AssembleArguments& arguments) = 0;
  virtual void Update(const UpdateArguments& arguments,
                      std::span<const StepTensor> tensors) = 0;
  virtual void Count(const CountArguments& arguments) = 0;

  // What was asked for up to now.
  virtual std::unique_ptr<DeviceEvent> Mark() = 0;

  // Copies memory of the device out beside what is asked for later. The
  // device's memory must stay as it is until then.
  virtual std::unique_ptr<DeviceEvent> CopyOut(const void* from, int64_t bytes,
                                               void* to) = 0;

  // Records what `work` asks for without doing it. What `work` allocated is the
  // recording's. None, and `why`, where it cannot be recorded.
  virtual std::unique_ptr<Recording> Record(const std::function<void()>& work,
                                            std::string& why) = 0;
};

}  // namespace headstart::worker
