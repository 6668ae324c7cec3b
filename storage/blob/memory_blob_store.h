// Blobs in memory: for tests, and as a worker's cache.
#pragma once

#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"
#include "storage/blob/blob_inventory.h"
#include "storage/blob/blob_store.h"

namespace headstart::storage {

// Keeps every blob until it is destroyed or the blob is erased.
class MemoryBlobStore final : public BlobStore, public BlobInventory {
 public:
  absl::Status PutAll(absl::Span<const Blob> blobs) override;
  absl::StatusOr<absl::Cord> Get(const Digest& digest) const override;
  absl::StatusOr<std::vector<Digest>> FindMissing(
      absl::Span<const Digest> digests) override;
  absl::StatusOr<std::vector<int64_t>> Touch(
      absl::Span<const Digest> digests) override;

  // Forgets the blob, if there is one.
  void Erase(const Digest& digest);

 private:
  mutable Mutex mu_;
  absl::flat_hash_map<Digest, absl::Cord> blobs_ ABSL_GUARDED_BY(mu_);
};

}  // namespace headstart::storage
