#include "worker/cuda/kernels.h"

namespace headstart::worker {
namespace {

constexpr int kThreads = 256;
// Blocks beyond this wait for others anyway.
constexpr int64_t kBlocksMax = 4096;
// Tensors that fit into the parameters of one launch (4 KiB).
constexpr int kTensorsPerLaunch = 64;

int BlocksFor(int64_t items) {
  const int64_t blocks = (items + kThreads - 1) / kThreads;
  return static_cast<int>(blocks < kBlocksMax ? blocks : kBlocksMax);
}

__device__ int64_t FirstItem() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ int64_t ItemStep() {
  return static_cast<int64_t>(gridDim.x) * blockDim.x;
}

__global__ void __launch_bounds__(kThreads)
    Assemble(const __grid_constant__ AssembleArguments to) {
  const int64_t pixels = to.rows * to.height * to.width;
  for (int64_t i = FirstItem(); i < pixels; i += ItemStep()) {
    AssemblePixel(to, i);
  }
}

struct StepTensors {
  StepTensor each[kTensorsPerLaunch];
};
static_assert(sizeof(StepTensors) + sizeof(UpdateArguments) <= 4096);

// Row y of the grid updates tensor y.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    Update(const __grid_constant__ UpdateArguments how,
           const __grid_constant__ StepTensors tensors) {
  const StepTensor& of = tensors.each[blockIdx.y];
  for (int64_t i = FirstItem(); i < of.count; i += ItemStep()) {
    UpdateNumber<T>(how, of, i);
  }
}

// One block: each thread sums every kThreads-th row, then halves are added up.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    Count(const __grid_constant__ CountArguments of) {
  __shared__ Sums parts[kThreads];
  Sums sum = {0, 0};
  const int64_t rows = CountedRows(of);
  for (int64_t row = threadIdx.x; row < rows; row += kThreads) {
    const Sums adds = CountRow<T>(of, row);
    sum.loss += adds.loss;
    sum.correct += adds.correct;
  }
  parts[threadIdx.x] = sum;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      parts[threadIdx.x].loss += parts[threadIdx.x + half].loss;
      parts[threadIdx.x].correct += parts[threadIdx.x + half].correct;
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    of.sums->loss += parts[0].loss + PartLoss<T>(of);
    of.sums->correct += parts[0].correct;
  }
}

}  // namespace

void LaunchAssemble(const AssembleArguments& arguments, cudaStream_t stream) {
  const int64_t pixels = arguments.rows * arguments.height * arguments.width;
  Assemble<<<BlocksFor(pixels), kThreads, 0, stream>>>(arguments);
}

void LaunchUpdate(const UpdateArguments& arguments, const StepTensor* tensors,
                  int64_t count, cudaStream_t stream) {
  for (int64_t begin = 0; begin < count; begin += kTensorsPerLaunch) {
    StepTensors part = {};
    int64_t largest = 1;
    int rows = 0;
    for (; rows < kTensorsPerLaunch && begin + rows < count; ++rows) {
      part.each[rows] = tensors[begin + rows];
      if (part.each[rows].count > largest) largest = part.each[rows].count;
    }
    // Four numbers a thread: a launch's blocks without work cost little.
    const dim3 blocks(BlocksFor((largest + 3) / 4), rows);
    if (arguments.is_double) {
      Update<double><<<blocks, kThreads, 0, stream>>>(arguments, part);
    } else {
      Update<float><<<blocks, kThreads, 0, stream>>>(arguments, part);
    }
  }
}

void LaunchCount(const CountArguments& arguments, cudaStream_t stream) {
  if (arguments.is_double) {
    Count<double><<<1, kThreads, 0, stream>>>(arguments);
  } else {
    Count<float><<<1, kThreads, 0, stream>>>(arguments);
  }
}

}  // namespace headstart::worker
