#include "worker/training/step_kernels.h"

#include <emmintrin.h>

#include <cmath>
#include <cstring>

// The widest vectors that the CPU has. The loops are bodies of their own, so
// that each clone gets them inlined and vectorized for itself; CMakeLists.txt
// has the flags that this takes. ivdep: out may be in, number by number.
#define HS_WIDEST __attribute__((target_clones("avx512f", "avx2", "default")))
#define HS_BODY [[gnu::always_inline]] inline

namespace headstart::worker {
namespace {

template <typename T>
HS_BODY void PlainSgd(const SgdTerms<T>& terms, const StepRun<T>& run) {
  const SgdTerms<T> t = terms;
  const StepRun<T> r = run;
#pragma GCC ivdep
  for (int64_t i = 0; i < r.count; ++i) {
    const T w = r.weight[i];
    const T g = t.gradient_scale * r.gradient[i] + t.weight_decay * w;
    r.weight_out[i] = w - t.rate * g;
  }
}

template <bool kNesterov, typename T>
HS_BODY void MomentumSgd(const SgdTerms<T>& terms, const StepRun<T>& run) {
  const SgdTerms<T> t = terms;
  const StepRun<T> r = run;
#pragma GCC ivdep
  for (int64_t i = 0; i < r.count; ++i) {
    const T w = r.weight[i];
    const T g = t.gradient_scale * r.gradient[i] + t.weight_decay * w;
    const T m = t.momentum * r.first[i] + g;
    r.first_out[i] = m;
    r.weight_out[i] = w - t.rate * (kNesterov ? g + t.momentum * m : m);
  }
}

template <typename T>
HS_BODY void Sgd(const SgdTerms<T>& terms, const StepRun<T>& run) {
  if (run.first == nullptr) {
    PlainSgd(terms, run);
  } else if (terms.nesterov) {
    MomentumSgd<true>(terms, run);
  } else {
    MomentumSgd<false>(terms, run);
  }
}

template <typename T>
HS_BODY void Adam(const AdamTerms<T>& terms, const StepRun<T>& run) {
  const AdamTerms<T> t = terms;
  const StepRun<T> r = run;
#pragma GCC ivdep
  for (int64_t i = 0; i < r.count; ++i) {
    const T w = r.weight[i];
    const T g = t.gradient_scale * r.gradient[i] + t.added_decay * w;
    const T m = r.first[i] + (g - r.first[i]) * t.one_minus_beta1;
    const T v = t.beta2 * r.second[i] + t.one_minus_beta2 * g * g;
    r.first_out[i] = m;
    r.second_out[i] = v;
    r.weight_out[i] =
        w * t.kept - t.rate * m / (std::sqrt(v) * t.inverse_root + t.epsilon);
  }
}

}  // namespace

HS_WIDEST void StepKernel(const SgdTerms<float>& terms,
                          const StepRun<float>& run) {
  Sgd(terms, run);
}
HS_WIDEST void StepKernel(const SgdTerms<double>& terms,
                          const StepRun<double>& run) {
  Sgd(terms, run);
}
HS_WIDEST void StepKernel(const AdamTerms<float>& terms,
                          const StepRun<float>& run) {
  Adam(terms, run);
}
HS_WIDEST void StepKernel(const AdamTerms<double>& terms,
                          const StepRun<double>& run) {
  Adam(terms, run);
}

void StreamCopy(const void* from, int64_t bytes, void* to) {
  const char* source = static_cast<const char*>(from);
  char* target = static_cast<char*>(to);
  for (; bytes >= 64; bytes -= 64, source += 64, target += 64) {
    for (int part = 0; part < 64; part += 16) {
      _mm_stream_si128(
          reinterpret_cast<__m128i*>(target + part),
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + part)));
    }
  }
  std::memcpy(target, source, bytes);
}

void StreamFence() { _mm_sfence(); }

}  // namespace headstart::worker
