#include "storage/blob/memory_blob_store.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/blob/verifying_blob_store.h"

namespace headstart::storage {

absl::Status MemoryBlobStore::PutAll(absl::Span<const Blob> blobs) {
  for (const Blob& blob : blobs) HS_RETURN_IF_ERROR(CheckBlob(blob));
  MutexLock lock(&mu_);
  for (const Blob& blob : blobs) blobs_.try_emplace(blob.digest, blob.bytes);
  return absl::OkStatus();
}

absl::StatusOr<absl::Cord> MemoryBlobStore::Get(const Digest& digest) const {
  MutexLock lock(&mu_);
  const auto it = blobs_.find(digest);
  if (it == blobs_.end()) {
    return absl::NotFoundError(
        absl::StrCat("blob ", digest.ToString(), " is not stored."));
  }
  return it->second;
}

absl::StatusOr<std::vector<Digest>> MemoryBlobStore::FindMissing(
    absl::Span<const Digest> digests) {
  MutexLock lock(&mu_);
  std::vector<Digest> missing;
  for (const Digest& digest : digests) {
    if (!blobs_.contains(digest)) missing.push_back(digest);
  }
  return missing;
}

absl::StatusOr<std::vector<int64_t>> MemoryBlobStore::Touch(
    absl::Span<const Digest> digests) {
  MutexLock lock(&mu_);
  std::vector<int64_t> sizes;
  for (const Digest& digest : digests) {
    const auto it = blobs_.find(digest);
    sizes.push_back(it == blobs_.end()
                        ? kMissing
                        : static_cast<int64_t>(it->second.size()));
  }
  return sizes;
}

void MemoryBlobStore::Erase(const Digest& digest) {
  MutexLock lock(&mu_);
  blobs_.erase(digest);
}

}  // namespace headstart::storage
