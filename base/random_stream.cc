#include "base/random_stream.h"

#include "base/check.h"

namespace headstart {
namespace {

uint32_t Low(uint64_t bits) { return static_cast<uint32_t>(bits); }
uint32_t High(uint64_t bits) { return static_cast<uint32_t>(bits >> 32); }

uint64_t Join(uint32_t high, uint32_t low) {
  return (static_cast<uint64_t>(high) << 32) | low;
}

std::array<uint32_t, 4> Block(uint64_t a, uint64_t b, uint64_t key) {
  return Philox4x32({Low(a), High(a), Low(b), High(b)}, {Low(key), High(key)});
}

}  // namespace

std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter,
                                   std::array<uint32_t, 2> key) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53;
  constexpr uint64_t kMultiplier1 = 0xCD9E8D57;
  constexpr int kRounds = 10;
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t product0 = kMultiplier0 * counter[0];
    const uint64_t product1 = kMultiplier1 * counter[2];
    counter = {High(product1) ^ counter[1] ^ key[0], Low(product1),
               High(product0) ^ counter[3] ^ key[1], Low(product0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

uint64_t StableHash(absl::string_view text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001B3;
  }
  return hash;
}

double UnitInterval(uint64_t bits) {
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

// Draws use the first half of a block and children's keys the second, so that
// no child's key is ever a value that its parent draws.
RandomStream RandomStream::Child(absl::string_view name,
                                 uint64_t number) const {
  const std::array<uint32_t, 4> block = Block(StableHash(name), number, key_);
  return RandomStream(Join(block[2], block[3]));
}

uint64_t RandomStream::Bits64() {
  const std::array<uint32_t, 4> block = Block(draw_++, 0, key_);
  return Join(block[0], block[1]);
}

int64_t RandomStream::UniformInt(int64_t n) {
  HS_CHECK(n >= 1 && n <= int64_t{1} << 53) << "n is " << n;
  return static_cast<int64_t>(Uniform() * static_cast<double>(n));
}

}  // namespace headstart
