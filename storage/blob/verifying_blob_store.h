// Checks digests on both ways of a store whose other side is not trusted.
#pragma once

#include <vector>

#include "storage/blob/blob_store.h"

namespace headstart::storage {

// Passes everything on to `store`, and hashes what goes in and comes out.
//
// Wrap a store that bytes reach over a network or that cannot check them
// itself. A PackStore does: it also quarantines what it finds damaged.
//
// Borrows `store`, which must outlive it.
class VerifyingBlobStore final : public BlobStore {
 public:
  explicit VerifyingBlobStore(BlobStore& store) : store_(store) {}

  absl::Status PutAll(absl::Span<const Blob> blobs) override;
  absl::StatusOr<absl::Cord> Get(const Digest& digest) const override;
  absl::StatusOr<std::vector<Digest>> FindMissing(
      absl::Span<const Digest> digests) override;

 private:
  BlobStore& store_;
};

// What BlobStore::PutAll says of a blob before it is stored:
//   InvalidArgument  its bytes do not hash to its digest, or are too many.
absl::Status CheckBlob(const Blob& blob);

}  // namespace headstart::storage
