// The device that CUDA has. Everything happens on one stream, which this
// thread's LibTorch uses from the device's opening on, but copies out, which
// have another.
#include <exception>
#include <utility>

#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <ATen/cuda/CUDAGraph.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include "worker/cuda/device_module.h"
#include "worker/cuda/kernels.h"

namespace headstart::worker {
namespace {

using c10::cuda::CUDAStream;
namespace allocator = c10::cuda::CUDACachingAllocator;

// The oldest GPUs that the kernels are compiled for.
constexpr int kMajorMin = 8;

class CudaEvent final : public DeviceEvent {
 public:
  explicit CudaEvent(const CUDAStream& stream)
      : event_(cudaEventDisableTiming | cudaEventBlockingSync) {
    event_.record(stream);
  }
  bool Done() override { return event_.query(); }
  void Wait() override { event_.synchronize(); }
  void Block(const CUDAStream& stream) { event_.block(stream); }

 private:
  at::cuda::CUDAEvent event_;
};

// Memory that recordings share while there are any: they never run beside each
// other, and nothing in it is read after a replay.
using Pool = std::shared_ptr<const at::cuda::MempoolId_t>;

// LibTorch's graph cleans up after captures that ended; this one also after
// those that CUDA would not end.
class Graph final : public at::cuda::CUDAGraph {
 public:
  // After an exception from capture_begin or later. The stream, the allocators
  // and the generators are then as they were before.
  void Abandon(at::cuda::MempoolId_t pool);
};

class CudaRecording final : public Recording {
 public:
  explicit CudaRecording(Pool pool) : pool_(std::move(pool)) {}
  void Replay() override { graph_.replay(); }
  Graph& graph() { return graph_; }

 private:
  const Pool pool_;
  Graph graph_;
};

class CudaDevice final : public Device {
 public:
  CudaDevice(int index, const cudaDeviceProp& properties)
      : index_(static_cast<c10::DeviceIndex>(index)),
        name_(std::string("cuda ") + properties.name + " sm_" +
              std::to_string(properties.major) +
              std::to_string(properties.minor)),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, index_)),
        copies_(
            c10::cuda::getStreamFromPool(/*isHighPriority=*/false, index_)) {
    c10::cuda::setCurrentCUDAStream(stream_);
  }

  at::Device torch_device() const override {
    return at::Device(at::kCUDA, index_);
  }
  std::string name() const override { return name_; }

  int64_t FreeBytes() override;
  int64_t TakePeakBytes() override;
  void SeedGenerator(uint64_t seed) override;
  at::Tensor HostMemory(int64_t bytes) override;
  bool Pin(void* memory, int64_t bytes) override;
  void Unpin(void* memory) override;

  void Assemble(const AssembleArguments& arguments) override {
    LaunchAssemble(arguments, stream_);
    C10_CUDA_CHECK(cudaGetLastError());
  }
  void Update(const UpdateArguments& arguments,
              std::span<const StepTensor> tensors) override {
    LaunchUpdate(arguments, tensors.data(), tensors.size(), stream_);
    C10_CUDA_CHECK(cudaGetLastError());
  }
  void Count(const CountArguments& arguments) override {
    LaunchCount(arguments, stream_);
    C10_CUDA_CHECK(cudaGetLastError());
  }

  std::unique_ptr<DeviceEvent> Mark() override {
    return std::make_unique<CudaEvent>(stream_);
  }
  std::unique_ptr<DeviceEvent> CopyOut(const void* from, int64_t bytes,
                                       void* to) override;
  std::unique_ptr<Recording> Record(const std::function<void()>& work,
                                    std::string& why) override;

 private:
  const c10::DeviceIndex index_;
  const std::string name_;
  const CUDAStream stream_;
  const CUDAStream copies_;
  std::weak_ptr<const at::cuda::MempoolId_t> pool_;
};

int64_t CudaDevice::FreeBytes() {
  allocator::emptyCache();
  size_t free = 0;
  size_t total = 0;
  C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return static_cast<int64_t>(free);
}

int64_t CudaDevice::TakePeakBytes() {
  const int64_t peak = allocator::getDeviceStats(index_).reserved_bytes[0].peak;
  allocator::resetPeakStats(index_);
  return peak;
}

void CudaDevice::SeedGenerator(uint64_t seed) {
  at::Generator generator = at::cuda::detail::getDefaultCUDAGenerator(index_);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_current_seed(seed);
}

at::Tensor CudaDevice::HostMemory(int64_t bytes) {
  return at::empty({bytes}, at::TensorOptions(at::kByte).pinned_memory(true));
}

bool CudaDevice::Pin(void* memory, int64_t bytes) {
  if (cudaHostRegister(memory, bytes, cudaHostRegisterDefault) == cudaSuccess) {
    return true;
  }
  cudaGetLastError();  // It was told; the next check must not find it.
  return false;
}

void CudaDevice::Unpin(void* memory) {
  C10_CUDA_CHECK_WARN(cudaHostUnregister(memory));
}

std::unique_ptr<DeviceEvent> CudaDevice::CopyOut(const void* from,
                                                 int64_t bytes, void* to) {
  CudaEvent(stream_).Block(copies_);
  C10_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost,
                                 copies_.stream()));
  return std::make_unique<CudaEvent>(copies_);
}

std::unique_ptr<Recording> CudaDevice::Record(const std::function<void()>& work,
                                              std::string& why) {
  // What steps without a recording held goes to the recording.
  stream_.synchronize();
  allocator::emptyCache();
  Pool pool = pool_.lock();
  if (pool == nullptr) {
    // LibTorch forgets a pool with its last recording.
    pool = std::make_shared<const at::cuda::MempoolId_t>(
        at::cuda::graph_pool_handle());
    pool_ = pool;
  }
  auto recording = std::make_unique<CudaRecording>(pool);
  Graph& graph = recording->graph();
  try {
    // Backward runs on a thread of LibTorch's, but on this stream. Another
    // thread's calls do not matter.
    graph.capture_begin(*pool, cudaStreamCaptureModeThreadLocal);
    work();
    graph.capture_end();
    return recording;
  } catch (const c10::Error& error) {
    why = error.what_without_backtrace();
  } catch (const std::exception& error) {
    why = error.what();
  }
  graph.Abandon(*pool);
  return nullptr;
}

// Whether LibTorch did `work`, which it refuses when it is done already or was
// not begun.
bool Did(const std::function<void()>& work) {
  try {
    work();
    return true;
  } catch (const std::exception&) {
    cudaGetLastError();  // It was told; the next check must not find it.
    return false;
  }
}

void Graph::Abandon(at::cuda::MempoolId_t pool) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  cudaStreamIsCapturing(capture_stream_, &status);
  if (status != cudaStreamCaptureStatusNone) Did([this] { capture_end(); });
  cudaGetLastError();
  if (capture_ended_) return;  // The destructor knows what to do.
  // Who began with a pool holds it once.
  if (Did([&] { allocator::endAllocateToPool(capture_dev_, pool); })) {
    Did([&] { allocator::releasePool(capture_dev_, pool); });
  }
  at::HostAllocator* host = at::getHostAllocator(at::kCUDA);
  if (Did([&] { host->end_allocate_to_pool(pool); })) {
    Did([&] { host->release_pool(pool); });
  }
  for (auto& [generator, increment] : captured_generator_states_) {
    generator->capturing_ = false;
  }
}

}  // namespace

extern "C" __attribute__((visibility("default"))) Device* HeadstartOpenDevice(
    int index, std::string* error) try {
  int count = 0;
  const cudaError_t counted = cudaGetDeviceCount(&count);
  if (counted != cudaSuccess) {
    *error = std::string("CUDA finds no device here: ") +
             cudaGetErrorString(counted) +
             ". Is there an NVIDIA GPU, and a driver of version 580 or newer?";
    return nullptr;
  }
  if (index >= count) {
    *error = "this process sees " + std::to_string(count) +
             " CUDA device(s), numbered from 0 (CUDA_VISIBLE_DEVICES hides "
             "others).";
    return nullptr;
  }
  cudaDeviceProp properties;
  C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, index));
  if (properties.major < kMajorMin) {
    *error = std::string(properties.name) + " has compute capability " +
             std::to_string(properties.major) + "." +
             std::to_string(properties.minor) + "; 8.0 or more is needed.";
    return nullptr;
  }
  at::globalContext().lazyInitDevice(at::kCUDA);
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(index));
  return new CudaDevice(index, properties);
} catch (const c10::Error& failure) {
  *error = failure.what_without_backtrace();
  return nullptr;
}

}  // namespace headstart::worker
