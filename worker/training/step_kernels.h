// The arithmetic of one optimizer step on runs of numbers.
//
// Every number is computed from its own old values alone, with a multiplication
// and an addition each rounded (never fused), so all CPUs, vector widths and
// ways to cut the memory into runs give the same bits.
#pragma once

#include <cstdint>

namespace headstart::worker {

// g = gradient_scale * gradient + weight_decay * w
// m = momentum * m + g
// w = w - rate * (nesterov ? g + momentum * m : m)
template <typename T>
struct SgdTerms {
  T rate;
  T momentum;
  T weight_decay;
  T gradient_scale;
  bool nesterov;
};

// g = gradient_scale * gradient + added_decay * w
// m = m + (g - m) * (1 - beta1)
// v = beta2 * v + (1 - beta2) * g * g
// w = w * kept - rate * m / (sqrt(v) * inverse_root + epsilon)
template <typename T>
struct AdamTerms {
  T rate;          // Over 1 - beta1^step.
  T inverse_root;  // 1 / sqrt(1 - beta2^step).
  T one_minus_beta1;
  T beta2;
  T one_minus_beta2;
  T epsilon;
  T added_decay;  // Adam's.
  T kept;         // 1 - rate * decay of AdamW.
  T gradient_scale;
};

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

void StepKernel(const SgdTerms<float>& terms, const StepRun<float>& run);
void StepKernel(const SgdTerms<double>& terms, const StepRun<double>& run);
void StepKernel(const AdamTerms<float>& terms, const StepRun<float>& run);
void StepKernel(const AdamTerms<double>& terms, const StepRun<double>& run);

// Copies around the caches. `to` is aligned to 16 bytes; StreamFence() makes
// what a thread has streamed visible to others.
void StreamCopy(const void* from, int64_t bytes, void* to);
void StreamFence();

}  // namespace headstart::worker
