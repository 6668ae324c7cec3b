#include "worker/agent/uploader.h"

#include <prometheus/counter.h>

#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "headstart/v1/checkpoint_service.pb.h"
#include "storage/blob/blob_store.h"

namespace headstart::worker {
namespace {

constexpr int64_t kInlinedBytesMax = 4095;

v1::Tensor::Role ToProto(TensorRole role) {
  switch (role) {
    case TensorRole::kParameter:
      return v1::Tensor::PARAMETER;
    case TensorRole::kBuffer:
      return v1::Tensor::BUFFER;
    case TensorRole::kOptimizer:
      return v1::Tensor::OPTIMIZER;
    case TensorRole::kState:
      return v1::Tensor::STATE;
    case TensorRole::kMask:
      return v1::Tensor::MASK;
    case TensorRole::kInserted:
      return v1::Tensor::INSERTED;
  }
  return v1::Tensor::ROLE_UNSPECIFIED;
}

bool IsWeight(TensorRole role) {
  return role == TensorRole::kParameter || role == TensorRole::kBuffer ||
         role == TensorRole::kMask || role == TensorRole::kInserted;
}

// Fills `commit` with both manifests and returns the blobs they name, each
// once. The Cords point into the slab.
std::vector<storage::Blob> Describe(const SnapshotUpload& upload,
                                    v1::CommitCheckpointRequest& commit) {
  commit.set_attempt(upload.attempt);
  commit.set_token(upload.token);
  commit.set_cluster_id(upload.cluster_id);
  *commit.mutable_seconds() = upload.seconds;
  commit.set_peak_memory_bytes(upload.peak_memory_bytes);
  v1::Manifest& manifest = *commit.mutable_manifest();
  manifest = upload.manifest;
  v1::Manifest& resume = *commit.mutable_resume_manifest();
  resume.set_format_version(manifest.format_version());
  resume.set_run(manifest.run());
  resume.set_epoch(manifest.epoch());
  resume.set_resume(true);
  resume.set_parent(manifest.parent());
  resume.set_model(manifest.model());
  *resume.mutable_environment() = manifest.environment();

  std::vector<storage::Blob> blobs;
  absl::flat_hash_set<storage::Digest> known;
  for (const TableEntry& entry : *upload.tensors) {
    v1::Tensor& tensor =
        *(IsWeight(entry.role) ? manifest : resume).add_tensors();
    tensor.set_name(entry.name);
    tensor.set_dtype(std::string(DTypeName(entry.dtype)));
    tensor.mutable_shape()->Add(entry.shape.begin(), entry.shape.end());
    tensor.set_role(ToProto(entry.role));
    const absl::Span<char> data = upload.slab->Tensor(entry);
    const absl::string_view bytes(data.data(), data.size());
    if (entry.bytes <= kInlinedBytesMax) {
      tensor.set_inlined(std::string(bytes));
      continue;
    }
    const storage::Digest digest = storage::Digest::Of(bytes);
    tensor.set_digest(std::string(digest.bytes()));
    if (known.insert(digest).second) {
      blobs.push_back({digest, absl::MakeCordFromExternal(bytes, [] {})});
    }
  }
  return blobs;
}

int64_t BlobBytes(const SnapshotUpload& upload) {
  int64_t bytes = 0;
  for (const TableEntry& entry : *upload.tensors) {
    if (entry.bytes > kInlinedBytesMax) bytes += entry.bytes;
  }
  return bytes;
}

}  // namespace

absl::StatusOr<storage::Digest> Uploader::Upload(const SnapshotUpload& upload,
                                                 const StopEvent& cancel) {
  v1::CommitCheckpointRequest commit;
  const std::vector<storage::Blob> blobs = Describe(upload, commit);
  std::vector<storage::Digest> digests;
  for (const storage::Blob& blob : blobs) digests.push_back(blob.digest);

  storage::Digest manifest_digest;
  bool asked_before = false;
  const std::string what = absl::StrCat("storing ", upload.manifest.run(),
                                        "/epochs/", upload.manifest.epoch());
  const absl::Status status = retry_.Run(what, cancel, [&]() -> absl::Status {
    std::vector<storage::Digest> missing;
    if (!digests.empty()) {
      HS_ASSIGN_OR_RETURN(missing, storage_.FindMissing(digests));
    }
    const absl::flat_hash_set<storage::Digest> wanted(missing.begin(),
                                                      missing.end());
    std::vector<storage::Blob> to_send;
    int64_t sent_bytes = 0;
    for (const storage::Blob& blob : blobs) {
      if (!wanted.contains(blob.digest)) continue;
      to_send.push_back(blob);
      sent_bytes += blob.bytes.size();
    }
    // A later try finds what this one sent; that is not saved.
    if (!std::exchange(asked_before, true)) {
      metrics_.deduplicated_bytes.Increment(
          static_cast<double>(BlobBytes(upload) - sent_bytes));
    }
    if (!to_send.empty()) HS_RETURN_IF_ERROR(storage_.PutAll(to_send));
    HS_ASSIGN_OR_RETURN(manifest_digest, storage_.CommitCheckpoint(commit));
    return absl::OkStatus();
  });
  if (!status.ok()) return Annotate(status, what);
  return manifest_digest;
}

}  // namespace headstart::worker
