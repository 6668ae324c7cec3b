#include "storage/retention/verifier.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/status_macros.h"
#include "storage/catalog/manifest.h"

namespace headstart::storage {
namespace {

constexpr int64_t kProgressBytes = int64_t{32} << 20;

void AddDamage(const ManifestName& checkpoint, const std::string& tensor,
               const absl::Status& found, v1::VerifyStorageResponse& result) {
  v1::VerifyStorageResponse::Damage& damage = *result.add_damaged();
  damage.set_checkpoint(checkpoint.ToString());
  damage.set_tensor(tensor);
  damage.set_message(std::string(found.message()));
}

// Adds the damage of one manifest's tensors, given what is known of the blobs
// that were read.
void CheckTensors(const HeldManifest& held, const v1::Manifest& manifest,
                  const BlobStore& blobs,
                  absl::flat_hash_map<Digest, absl::Status>& known,
                  v1::VerifyStorageResponse& result) {
  for (const v1::Tensor& tensor : manifest.tensors()) {
    if (!tensor.has_digest()) continue;
    const Digest digest = *Digest::FromBytes(tensor.digest());
    auto it = known.find(digest);
    if (it == known.end()) {  // Missing, or stored since the walk began.
      it = known.emplace(digest, blobs.Get(digest).status()).first;
    }
    if (!it->second.ok()) {
      AddDamage(held.name, tensor.name(), it->second, result);
    }
  }
}

}  // namespace

absl::StatusOr<v1::VerifyStorageResponse> Verify(
    const RocksdbCatalog& catalog, PackStore& packs, const BlobStore& blobs,
    absl::FunctionRef<absl::Status(const v1::VerifyStorageResponse&)>
        progress) {
  packs.Readmit();
  v1::VerifyStorageResponse result;
  std::vector<std::pair<Digest, int64_t>> listed;
  HS_RETURN_IF_ERROR(packs.ForEachBlob(
      [&](const Digest& digest, const BlobLocation& location) {
        listed.push_back({digest, location.raw_size});
        result.set_total_bytes(result.total_bytes() + location.raw_size);
      }));
  HS_RETURN_IF_ERROR(progress(result));
  absl::flat_hash_map<Digest, absl::Status> known;
  int64_t reported_bytes = 0;
  for (const auto& [digest, bytes] : listed) {
    known[digest] = blobs.Get(digest).status();
    result.set_blob_count(result.blob_count() + 1);
    result.set_checked_bytes(result.checked_bytes() + bytes);
    if (result.checked_bytes() - reported_bytes < kProgressBytes) continue;
    reported_bytes = result.checked_bytes();
    HS_RETURN_IF_ERROR(progress(result));
  }
  HS_ASSIGN_OR_RETURN(const std::vector<HeldManifest> held, catalog.Held(""));
  for (const HeldManifest& item : held) {
    const auto manifest = catalog.ReadManifest(item.digest);
    if (absl::IsNotFound(manifest.status())) continue;  // Let go meanwhile.
    if (manifest.ok()) {
      CheckTensors(item, *manifest, blobs, known, result);
    } else {
      AddDamage(item.name, "", manifest.status(), result);
    }
  }
  result.set_done(true);
  return result;
}

}  // namespace headstart::storage
