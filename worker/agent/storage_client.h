// Storage as the agent uses it, wherever the scheduler says it is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "base/net/call_group.h"
#include "base/net/telemetry.h"
#include "headstart/v1/checkpoint_service.pb.h"
#include "storage/blob/blob_store.h"
#include "storage/blob/metered_blob_store.h"
#include "storage/blob/verifying_blob_store.h"

namespace headstart::worker {

// The storage server's BlobService, behind an address that may change while
// calls are made: a restarted server listens elsewhere. Before the first
// SetAddress every call is Unavailable.
//
// A call is tried once; who calls knows whether and how long to repeat it.
// Counts as every BlobStore does (storage/blob/metered_blob_store.h).
//
// Any thread may call.
class StorageClient final {
 public:
  // `telemetry` outlives this object.
  explicit StorageClient(Telemetry& telemetry);
  ~StorageClient();

  // As grpc::CreateChannel takes it. Calls that run go on where they are.
  void SetAddress(const std::string& address);

  // Calls that run, and all later ones, end as Cancelled: the agent ends.
  void Cancel();

  // As BlobStore has them; bytes got have been checked against their digest.
  absl::Status PutAll(absl::Span<const storage::Blob> blobs);
  absl::StatusOr<absl::Cord> Get(const storage::Digest& digest);
  absl::StatusOr<std::vector<storage::Digest>> FindMissing(
      absl::Span<const storage::Digest> digests);

  // As the rpcs are documented in checkpoint_service.proto.
  absl::StatusOr<storage::Digest> CommitCheckpoint(
      const v1::CommitCheckpointRequest& request);
  absl::StatusOr<v1::GetManifestsResponse> GetManifests(
      const std::string& checkpoint);

 private:
  struct Connection;
  class Relay;

  // The current one; shared, since calls outlive a change of address.
  absl::StatusOr<std::shared_ptr<Connection>> Current();

  CallGroup calls_;
  Mutex mu_;
  std::string address_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<Connection> connection_ ABSL_GUARDED_BY(mu_);

  const std::unique_ptr<Relay> relay_;  // To the current connection.
  // Writes go here: the server checks what it gets, and the uploader has just
  // hashed it.
  storage::MeteredBlobStore metered_;
  storage::VerifyingBlobStore verifying_;  // Reads go here.
};

}  // namespace headstart::worker
