// Which blobs are stored, without their bytes: what a commit asks.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/blob/digest.h"

namespace headstart::storage {

// Knows which blobs are durable and how large they are.
//
// All methods may be called from several threads at once.
class BlobInventory {
 public:
  static constexpr int64_t kMissing = -1;

  virtual ~BlobInventory() = default;

  // The bytes of each of `digests`, in the order given; kMissing where a Get
  // would not find one. Starts a new grace period for those present.
  virtual absl::StatusOr<std::vector<int64_t>> Touch(
      absl::Span<const Digest> digests) = 0;
};

}  // namespace headstart::storage
