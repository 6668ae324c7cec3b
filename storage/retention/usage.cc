#include "storage/retention/usage.h"

#include <map>
#include <set>

#include "absl/container/flat_hash_set.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "storage/catalog/manifest.h"

namespace headstart::storage {
namespace {

// Distinct blobs and their bytes.
class BlobSum {
 public:
  void Add(const std::vector<ManifestBlob>& blobs) {
    for (const ManifestBlob& blob : blobs) {
      if (seen_.insert(blob.digest).second) bytes_ += blob.bytes;
    }
  }
  int64_t bytes() const { return bytes_; }

 private:
  absl::flat_hash_set<Digest> seen_;
  int64_t bytes_ = 0;
};

struct ByReason {
  BlobSum blobs;
  std::set<CheckpointName> checkpoints;
};

absl::Status AddCheckpoints(const RocksdbCatalog& catalog,
                            absl::string_view parent,
                            v1::GetUsageResponse& usage) {
  HS_ASSIGN_OR_RETURN(const std::vector<HeldManifest> held,
                      catalog.Held(parent));
  BlobSum live;
  std::map<v1::ReferenceReason, ByReason> by_reason;
  for (const HeldManifest& item : held) {
    const auto manifest = catalog.ReadManifest(item.digest);
    if (!manifest.ok()) continue;  // Let go meanwhile, or damaged.
    if (!item.name.resume) {
      usage.set_checkpoint_count(usage.checkpoint_count() + 1);
    }
    usage.set_logical_bytes(usage.logical_bytes() + TensorBytes(*manifest));
    const std::vector<ManifestBlob> blobs = BlobsOf(*manifest);
    live.Add(blobs);
    for (const v1::Reference& reference : item.reasons) {
      ByReason& reason = by_reason[reference.reason()];
      reason.blobs.Add(blobs);
      reason.checkpoints.insert(item.name.checkpoint);
    }
  }
  usage.set_live_bytes(live.bytes());
  for (const auto& [reason, sum] : by_reason) {
    v1::GetUsageResponse::ByReason& entry = *usage.add_by_reason();
    entry.set_reason(reason);
    entry.set_bytes(sum.blobs.bytes());
    entry.set_checkpoint_count(static_cast<int64_t>(sum.checkpoints.size()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::GetUsageResponse> ComputeUsage(const RocksdbCatalog& catalog,
                                                  const PackStore& blobs,
                                                  const std::string& folder,
                                                  absl::string_view parent) {
  v1::GetUsageResponse usage;
  HS_RETURN_IF_ERROR(AddCheckpoints(catalog, parent, usage));
  int64_t record_bytes = 0;
  for (const PackUsage& pack : blobs.Packs()) {
    usage.set_pack_bytes(usage.pack_bytes() + pack.bytes);
    record_bytes += pack.bytes - kPackHeaderBytes;
  }
  // Blobs that are stored but not needed are as good as dead: they wait for
  // their grace period to end, or for a commit.
  int64_t needed_bytes = 0;
  HS_RETURN_IF_ERROR(blobs.ForEachBlob(
      [&](const Digest& digest, const BlobLocation& location) {
        if (!catalog.IsNeeded(digest)) return;
        needed_bytes += kRecordHeaderBytes + location.stored_size;
      }));
  usage.set_dead_bytes(std::max<int64_t>(0, record_bytes - needed_bytes));
  HS_ASSIGN_OR_RETURN(const int64_t free_bytes, FreeBytes(folder));
  usage.set_free_bytes(free_bytes);
  return usage;
}

}  // namespace headstart::storage
