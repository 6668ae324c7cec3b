// RandomStream: random values at named addresses, the same for ever.
#pragma once

#include <array>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace headstart {

// The Philox4x32-10 block function: 128 random bits, a pure function of
// counter and key.
std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter,
                                   std::array<uint32_t, 2> key);

// FNV-1a: a 64-bit hash that is the same on every machine and in every release.
uint64_t StableHash(absl::string_view text);

// The top 53 bits as a number in [0, 1).
double UnitInterval(uint64_t bits);

// Random values that depend on an address and nothing else.
//
// An address is a seed and a path of names and numbers:
//   RandomStream(study_seed).Child("trial", 12).Child("batch_size").Uniform()
// A value therefore depends neither on the order in which others are drawn nor
// on how many there are: adding a parameter changes nobody else's value, and
// there is no generator state to save. The draws made on one stream are
// numbered in the order of the calls; a copy goes on where the original was.
// Children do not depend on the draws made.
//
// Algorithm and mappings are frozen: stored studies rely on them. A value is
// drawn once and recorded; replaying reads the record.
//
// Small and copyable. One thread at a time.
class RandomStream {
 public:
  explicit RandomStream(uint64_t seed) : key_(seed) {}

  // The streams below this one. Child("a") is Child("a", 0).
  RandomStream Child(absl::string_view name, uint64_t number = 0) const;

  // 64 random bits.
  uint64_t Bits64();

  // 63 random bits, for seeds that travel as int64: never negative.
  int64_t Bits63() { return static_cast<int64_t>(Bits64() >> 1); }

  // A number in [0, 1), with 53 random bits.
  double Uniform() { return UnitInterval(Bits64()); }

  // A number in 0 .. n - 1, for n in 1 .. 2^53.
  int64_t UniformInt(int64_t n);

 private:
  uint64_t key_;
  uint64_t draw_ = 0;  // Number of the next draw.
};

}  // namespace headstart
