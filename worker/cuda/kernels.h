// Launches of the kernels. Errors are cudaGetLastError's.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "worker/cuda/kernel_math.h"

namespace headstart::worker {

void LaunchAssemble(const AssembleArguments& arguments, cudaStream_t stream);
void LaunchUpdate(const UpdateArguments& arguments, const StepTensor* tensors,
                  int64_t count, cudaStream_t stream);
// In an order of its own that does not change, so that sums do not either.
void LaunchCount(const CountArguments& arguments, cudaStream_t stream);

}  // namespace headstart::worker
