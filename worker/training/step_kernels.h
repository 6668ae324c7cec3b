// One optimizer step on runs of numbers, on the CPU.
#pragma once

#include <cstdint>

#include "worker/training/step_math.h"

namespace headstart::worker {

// The numbers of one run before the step, and where those after it go; both may
// be the same place, but not overlap otherwise.
template <typename T>
struct StepRun {
  int64_t count;
  const T* gradient;
  const T* weight;
  const T* first;   // Momentum or m; null for SGD without momentum.
  const T* second;  // v; null for SGD.
  T* weight_out;
  T* first_out;
  T* second_out;
};

// Where results go.
enum class StepWrite {
  kCached,
  // Around the caches, a line at a time: what is written begins at multiples of
  // 64 bytes, and is not what is read. Other threads see it after a fence,
  // which the call ends with.
  kStreaming,
};

void StepKernel(const SgdTerms<float>& terms, const StepRun<float>& run,
                StepWrite write);
void StepKernel(const SgdTerms<double>& terms, const StepRun<double>& run,
                StepWrite write);
void StepKernel(const AdamTerms<float>& terms, const StepRun<float>& run,
                StepWrite write);
void StepKernel(const AdamTerms<double>& terms, const StepRun<double>& run,
                StepWrite write);

}  // namespace headstart::worker
