#include "worker/training/step_kernels.h"

#include <emmintrin.h>

#include "base/widest_vectors.h"

// The loops of HS_WIDEST_VECTORS are bodies of their own, so that each width
// gets them inlined and vectorized for itself; CMakeLists.txt has the flags
// that this takes. ivdep: out may be in, number by number.
#define HS_BODY [[gnu::always_inline]] inline
#define HS_INLINE __attribute__((always_inline))

namespace headstart::worker {
namespace {

constexpr int64_t kLineBytes = 64;

// One line of the cache, around it.
template <typename T>
HS_BODY void StreamLine(const T* from, T* to) {
  for (int64_t part = 0; part < kLineBytes; part += sizeof(__m128i)) {
    _mm_stream_si128(
        reinterpret_cast<__m128i*>(reinterpret_cast<char*>(to) + part),
        _mm_load_si128(reinterpret_cast<const __m128i*>(
            reinterpret_cast<const char*>(from) + part)));
  }
}

// Writes numbers `begin` to `end`, of which `step` gives each, to the first
// kOutputs of the run's outputs.
template <int kOutputs, typename T, typename Step>
HS_BODY void WriteCached(const StepRun<T>& run, int64_t begin, int64_t end,
                         Step step) {
  const StepRun<T> r = run;
#pragma GCC ivdep
  for (int64_t i = begin; i < end; ++i) {
    const Stepped<T> next = step(i);
    r.weight_out[i] = next.weight;
    if constexpr (kOutputs > 1) r.first_out[i] = next.first;
    if constexpr (kOutputs > 2) r.second_out[i] = next.second;
  }
}

template <int kOutputs, typename T, typename Step>
HS_BODY void WriteStreaming(const StepRun<T>& run, Step step) {
  constexpr int64_t kLine = kLineBytes / sizeof(T);
  const StepRun<T> r = run;
  const int64_t lines_end = r.count / kLine * kLine;
  for (int64_t i = 0; i < lines_end; i += kLine) {
    alignas(kLineBytes) T line[3][kLine];
    for (int64_t j = 0; j < kLine; ++j) {
      const Stepped<T> next = step(i + j);
      line[0][j] = next.weight;
      if constexpr (kOutputs > 1) line[1][j] = next.first;
      if constexpr (kOutputs > 2) line[2][j] = next.second;
    }
    StreamLine(line[0], r.weight_out + i);
    if constexpr (kOutputs > 1) StreamLine(line[1], r.first_out + i);
    if constexpr (kOutputs > 2) StreamLine(line[2], r.second_out + i);
  }
  WriteCached<kOutputs>(r, lines_end, r.count, step);
  _mm_sfence();
}

template <int kOutputs, typename T, typename Step>
HS_BODY void Write(const StepRun<T>& run, StepWrite write, Step step) {
  if (write == StepWrite::kStreaming) {
    WriteStreaming<kOutputs>(run, step);
  } else {
    WriteCached<kOutputs>(run, 0, run.count, step);
  }
}

template <typename T>
HS_BODY void Sgd(const SgdTerms<T>& terms, const StepRun<T>& run,
                 StepWrite write) {
  if (run.first == nullptr) {
    Write<1>(run, write, [t = terms, r = run](int64_t i) HS_INLINE {
      return SgdStep(t, r.gradient[i], r.weight[i]);
    });
  } else if (terms.nesterov) {
    Write<2>(run, write, [t = terms, r = run](int64_t i) HS_INLINE {
      return MomentumStep<true>(t, r.gradient[i], r.weight[i], r.first[i]);
    });
  } else {
    Write<2>(run, write, [t = terms, r = run](int64_t i) HS_INLINE {
      return MomentumStep<false>(t, r.gradient[i], r.weight[i], r.first[i]);
    });
  }
}

template <typename T>
HS_BODY void Adam(const AdamTerms<T>& terms, const StepRun<T>& run,
                  StepWrite write) {
  Write<3>(run, write, [t = terms, r = run](int64_t i) HS_INLINE {
    return AdamStep(t, r.gradient[i], r.weight[i], r.first[i], r.second[i]);
  });
}

}  // namespace

HS_WIDEST_VECTORS void StepKernel(const SgdTerms<float>& terms,
                                  const StepRun<float>& run, StepWrite write) {
  Sgd(terms, run, write);
}
HS_WIDEST_VECTORS void StepKernel(const SgdTerms<double>& terms,
                                  const StepRun<double>& run, StepWrite write) {
  Sgd(terms, run, write);
}
HS_WIDEST_VECTORS void StepKernel(const AdamTerms<float>& terms,
                                  const StepRun<float>& run, StepWrite write) {
  Adam(terms, run, write);
}
HS_WIDEST_VECTORS void StepKernel(const AdamTerms<double>& terms,
                                  const StepRun<double>& run, StepWrite write) {
  Adam(terms, run, write);
}

}  // namespace headstart::worker
