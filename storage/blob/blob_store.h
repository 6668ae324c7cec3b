// The one way to keep and fetch bytes; every backend and decorator is one.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/types/span.h"
#include "storage/blob/digest.h"

namespace headstart::storage {

// Larger blobs are refused: one is held in memory while it is checked.
inline constexpr int64_t kBlobBytesMax = int64_t{1} << 30;

struct Blob {
  Digest digest;
  absl::Cord bytes;
};

// Holds immutable blobs, each under the SHA-256 digest of its bytes.
//
// A blob never changes: two Puts of one digest carry the same bytes, so a Put
// may be repeated at will and a cached copy never goes stale. Blobs are opaque
// here; what they mean is written in manifests (storage/catalog/).
//
// Once Put returns OK the blob survives a crash of the process and the
// machine. A blob that no manifest names may be removed by the collector
// after its grace period (storage/retention/collector.h), and not before.
//
// All methods may be called from several threads at once.
class BlobStore {
 public:
  virtual ~BlobStore() = default;

  // Stores all of `blobs`; OK once every one is durable. Together they cost
  // one wait for the disk, so an epoch's tensors belong in one call.
  //   InvalidArgument    bytes that do not hash to their digest, or more than
  //                      kBlobBytesMax of them; nothing of that blob is kept.
  //   ResourceExhausted  no room. Retry once space is freed.
  // On an error some of `blobs` may be stored; putting all again is right.
  virtual absl::Status PutAll(absl::Span<const Blob> blobs) = 0;

  // Returns all bytes of the blob; they have been checked against `digest`.
  //   NotFound  no such blob, or the collector has removed it.
  //   DataLoss  the stored bytes no longer match; they are quarantined.
  virtual absl::StatusOr<absl::Cord> Get(const Digest& digest) const = 0;

  // Returns those of `digests` that a Get would not find, in the order given.
  // Starts a new grace period for the ones that are present, so an uploader
  // can skip them and still name them in a manifest.
  virtual absl::StatusOr<std::vector<Digest>> FindMissing(
      absl::Span<const Digest> digests) = 0;

  // PutAll of one.
  absl::Status Put(const Digest& digest, const absl::Cord& bytes) {
    const Blob blob{digest, bytes};
    return PutAll({&blob, 1});
  }
};

}  // namespace headstart::storage
