// Manifests: their canonical bytes, and whether one may be believed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/names.h"
#include "headstart/v1/manifest.pb.h"
#include "storage/blob/digest.h"

namespace headstart::storage {

inline constexpr int64_t kManifestFormatVersion = 1;

// A tensor of fewer bytes stands in the manifest itself, any other in a blob.
inline constexpr int64_t kInlineBytesLimit = 4096;

// Larger manifests are refused: both of an epoch fit into one message.
inline constexpr int64_t kManifestBytesMax = int64_t{1800} << 10;

// The bytes that a manifest's digest is of: its deterministic serialization.
std::string CanonicalBytes(const v1::Manifest& manifest);

Digest ManifestDigest(const v1::Manifest& manifest);

// The checkpoint's name, or for a resume manifest that with /resume. The
// manifest has passed CheckManifest.
ManifestName NameOf(const v1::Manifest& manifest);

// Bytes of the tensor, by its dtype and shape.
//   InvalidArgument  an unknown dtype, a negative dimension, or more bytes
//                    than a blob may have.
absl::StatusOr<int64_t> TensorBytes(const v1::Tensor& tensor);

// Sum over the tensors. The manifest has passed CheckManifest.
int64_t TensorBytes(const v1::Manifest& manifest);

// A blob that a manifest names.
struct ManifestBlob {
  Digest digest;
  int64_t bytes = 0;
};

// The blobs of the manifest, each once. It has passed CheckManifest.
std::vector<ManifestBlob> BlobsOf(const v1::Manifest& manifest);

// Whether the manifest is whole and consistent in itself: version, names,
// limits, and for each tensor a size that fits dtype, shape and data. Whether
// its blobs exist is for the catalog to say.
//   InvalidArgument  names the run, epoch and tensor, and what is wrong.
absl::Status CheckManifest(const v1::Manifest& manifest);

}  // namespace headstart::storage
