// A slab's snapshot to blobs and a commit.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "headstart/v1/manifest.pb.h"
#include "storage/blob/digest.h"
#include "worker/agent/metrics.h"
#include "worker/agent/storage_client.h"
#include "worker/agent/storage_retry.h"
#include "worker/trainer_protocol/slab.h"

namespace headstart::worker {

// One epoch to store.
struct SnapshotUpload {
  // Everything but the tensors. The resume manifest takes over run, epoch,
  // parent, model and environment.
  v1::Manifest manifest;
  // The memory and its checked table; both stay as they are meanwhile.
  const Slab* slab = nullptr;
  const TensorTable* tensors = nullptr;
  int64_t attempt = 0;
  int64_t token = 0;
  std::string cluster_id;
  v1::PhaseSeconds seconds;
  int64_t peak_memory_bytes = 0;
};

// Makes snapshots checkpoints.
//
// A tensor of 4,096 bytes or more becomes a blob under its digest, so that what
// the store has already (a layer that did not change, the same epoch trained
// before) is not sent; smaller ones lie in the manifest. PARAMETER and BUFFER
// make the manifest, the rest the resume manifest; one commit makes both
// visible.
//
// Borrows what it is made with. One thread.
class Uploader final {
 public:
  Uploader(StorageClient& storage, StorageRetry retry, AgentMetrics& metrics)
      : storage_(storage), retry_(retry), metrics_(metrics) {}

  // Returns the manifest's digest once the checkpoint is durable; repeats what
  // may be repeated (StorageRetry) until then. Reads the slab, copies nothing.
  //   Cancelled      `cancel` was stopped; it may be committed or not.
  //   Aborted        a newer attempt of the run exists.
  //   AlreadyExists  the scheduler has recorded another state of this epoch.
  absl::StatusOr<storage::Digest> Upload(const SnapshotUpload& upload,
                                         const StopEvent& cancel);

 private:
  StorageClient& storage_;
  const StorageRetry retry_;
  AgentMetrics& metrics_;
};

}  // namespace headstart::worker
