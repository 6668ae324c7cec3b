#include "storage/blob/verifying_blob_store.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace headstart::storage {

absl::Status CheckBlob(const Blob& blob) {
  const int64_t size = static_cast<int64_t>(blob.bytes.size());
  if (size > kBlobBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "blob ", blob.digest.ToString(), " has ", size, " bytes; at most ",
        kBlobBytesMax, " are kept as one blob."));
  }
  const Digest actual = Digest::Of(blob.bytes);
  if (actual != blob.digest) {
    return absl::InvalidArgumentError(
        absl::StrCat("blob ", blob.digest.ToString(), ": its ", size,
                     " bytes hash to ", actual.ToString(), "."));
  }
  return absl::OkStatus();
}

absl::Status VerifyingBlobStore::PutAll(absl::Span<const Blob> blobs) {
  for (const Blob& blob : blobs) HS_RETURN_IF_ERROR(CheckBlob(blob));
  return store_.PutAll(blobs);
}

absl::StatusOr<absl::Cord> VerifyingBlobStore::Get(const Digest& digest) const {
  HS_ASSIGN_OR_RETURN(absl::Cord bytes, store_.Get(digest));
  if (Digest::Of(bytes) != digest) {
    return absl::DataLossError(
        absl::StrCat("blob ", digest.ToString(), ": digest differs after ",
                     "reading ", bytes.size(), " bytes."));
  }
  return bytes;
}

absl::StatusOr<std::vector<Digest>> VerifyingBlobStore::FindMissing(
    absl::Span<const Digest> digests) {
  return store_.FindMissing(digests);
}

}  // namespace headstart::storage
