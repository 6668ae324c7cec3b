// The arithmetic of one optimizer step on one number, the same on every device.
//
// Every number is computed from its own old values alone. What compiles this
// must round each multiplication and addition, never fuse them (-ffp-contract=
// off, --fmad=false): then all devices, vector widths and ways to cut the
// memory into runs give the same bits.
#pragma once

#include <cmath>

#include "base/host_device.h"

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

// Terms that were computed in double.
template <typename T>
HS_HOST_DEVICE inline SgdTerms<T> Rounded(const SgdTerms<double>& t) {
  return {.rate = static_cast<T>(t.rate),
          .momentum = static_cast<T>(t.momentum),
          .weight_decay = static_cast<T>(t.weight_decay),
          .gradient_scale = static_cast<T>(t.gradient_scale),
          .nesterov = t.nesterov};
}
template <typename T>
HS_HOST_DEVICE inline AdamTerms<T> Rounded(const AdamTerms<double>& t) {
  return {.rate = static_cast<T>(t.rate),
          .inverse_root = static_cast<T>(t.inverse_root),
          .one_minus_beta1 = static_cast<T>(t.one_minus_beta1),
          .beta2 = static_cast<T>(t.beta2),
          .one_minus_beta2 = static_cast<T>(t.one_minus_beta2),
          .epsilon = static_cast<T>(t.epsilon),
          .added_decay = static_cast<T>(t.added_decay),
          .kept = static_cast<T>(t.kept),
          .gradient_scale = static_cast<T>(t.gradient_scale)};
}

// A number after the step, with what the rule keeps of it.
template <typename T>
struct Stepped {
  T weight;
  T first = 0;   // Momentum or m.
  T second = 0;  // v.
};

// Without momentum.
template <typename T>
HS_HOST_DEVICE inline Stepped<T> SgdStep(const SgdTerms<T>& t, T gradient,
                                         T w) {
  const T g = t.gradient_scale * gradient + t.weight_decay * w;
  return {w - t.rate * g};
}

template <bool kNesterov, typename T>
HS_HOST_DEVICE inline Stepped<T> MomentumStep(const SgdTerms<T>& t, T gradient,
                                              T w, T first) {
  const T g = t.gradient_scale * gradient + t.weight_decay * w;
  const T m = t.momentum * first + g;
  return {w - t.rate * (kNesterov ? g + t.momentum * m : m), m};
}

template <typename T>
HS_HOST_DEVICE inline Stepped<T> AdamStep(const AdamTerms<T>& t, T gradient,
                                          T w, T first, T second) {
  const T g = t.gradient_scale * gradient + t.added_decay * w;
  const T m = first + (g - first) * t.one_minus_beta1;
  const T v = t.beta2 * second + t.one_minus_beta2 * g * g;
  return {w * t.kept - t.rate * m / (std::sqrt(v) * t.inverse_root + t.epsilon),
          m, v};
}

}  // namespace headstart::worker
