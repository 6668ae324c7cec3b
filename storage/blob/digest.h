// SHA-256 of a blob's or manifest's bytes: the name it goes by.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"

namespace headstart::storage {

// A SHA-256 value. Ordered and hashed by its bytes. A value type.
class Digest {
 public:
  static constexpr size_t kSize = 32;

  // All zero bits; the digest of nothing known.
  Digest() = default;

  static Digest Of(absl::string_view bytes);
  static Digest Of(const absl::Cord& bytes);

  // From the 32 raw bytes that messages carry.
  //   InvalidArgument  another number of bytes.
  static absl::StatusOr<Digest> FromBytes(absl::string_view bytes);

  // From the text form, "sha256:" and 64 lower-case hex digits.
  static absl::StatusOr<Digest> Parse(absl::string_view text);

  std::string ToString() const;

  // The 32 raw bytes; valid while this object is.
  absl::string_view bytes() const {
    return {reinterpret_cast<const char*>(bytes_.data()), kSize};
  }

  friend auto operator<=>(const Digest&, const Digest&) = default;
  template <typename H>
  friend H AbslHashValue(H state, const Digest& digest) {
    return H::combine(std::move(state), digest.bytes());
  }

 private:
  friend class Hasher;
  std::array<unsigned char, kSize> bytes_{};
};

// Computes a digest of bytes that come in pieces. One thread.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void Update(absl::string_view bytes);

  // Of all bytes so far. Call once, as the last thing.
  Digest Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace headstart::storage
