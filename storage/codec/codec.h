// How a blob's bytes are written: as they are, or compressed.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/cord.h"

namespace headstart::storage {

// The numbers are written to packs: add, never change.
enum class Codec : uint32_t {
  kNone = 0,
  kZstd = 1,
};

struct Encoded {
  Codec codec = Codec::kNone;
  absl::Cord bytes;
};

// Compresses `raw` where that is worth it: when it makes the first 64 KiB, and
// then the whole, at least a tenth smaller. More than 32 MiB stay as they are:
// it would take as much memory again, twice. Trained weights are noise to zstd
// (it saves about 6 %) and stay as they are; zeros and padding do not.
Encoded Encode(const absl::Cord& raw);

// The bytes that were encoded, `raw_size` of them. Takes no more memory than
// that, whatever `encoded` says.
//   DataLoss  they are not `raw_size` bytes of this codec, or it is unknown.
absl::StatusOr<absl::Cord> Decode(Codec codec, absl::Cord encoded,
                                  int64_t raw_size);

}  // namespace headstart::storage
