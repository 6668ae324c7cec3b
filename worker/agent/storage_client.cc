#include "worker/agent/storage_client.h"

#include <grpcpp/client_context.h>

#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/net/grpc_status.h"
#include "base/status_macros.h"
#include "headstart/v1/checkpoint_service.grpc.pb.h"
#include "storage/blob/metered_blob_store.h"
#include "storage/blob/remote_blob_store.h"
#include "storage/blob/verifying_blob_store.h"
#include "worker/agent/channel.h"

namespace headstart::worker {
namespace {

constexpr std::chrono::seconds kCallTimeout{60};

}  // namespace

struct StorageClient::Connection {
  Connection(const std::string& address, Telemetry& telemetry)
      : channel(ConnectTo(address)),
        stub(v1::BlobService::NewStub(channel)),
        remote(channel),
        metered(remote, telemetry),
        verifying(metered) {}

  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::BlobService::Stub> stub;
  storage::RemoteBlobStore remote;
  // Writes go here: the server checks what it gets, and the uploader has just
  // hashed it.
  storage::MeteredBlobStore metered;
  storage::VerifyingBlobStore verifying;  // Reads go here.
};

StorageClient::StorageClient(Telemetry& telemetry) : telemetry_(telemetry) {}

StorageClient::~StorageClient() = default;

void StorageClient::SetAddress(const std::string& address) {
  MutexLock lock(&mu_);
  if (address == address_) return;
  HS_LOG(kInfo, "storage is at address={}", address);
  address_ = address;
  connection_ = std::make_shared<Connection>(address, telemetry_);
}

absl::StatusOr<std::shared_ptr<StorageClient::Connection>>
StorageClient::Current() {
  MutexLock lock(&mu_);
  if (connection_ == nullptr) {
    return absl::UnavailableError(
        "the scheduler has not said yet where storage is");
  }
  return connection_;
}

absl::Status StorageClient::PutAll(absl::Span<const storage::Blob> blobs) {
  HS_ASSIGN_OR_RETURN(const auto connection, Current());
  return connection->metered.PutAll(blobs);
}

absl::StatusOr<absl::Cord> StorageClient::Get(const storage::Digest& digest) {
  HS_ASSIGN_OR_RETURN(const auto connection, Current());
  return connection->verifying.Get(digest);
}

absl::StatusOr<std::vector<storage::Digest>> StorageClient::FindMissing(
    absl::Span<const storage::Digest> digests) {
  HS_ASSIGN_OR_RETURN(const auto connection, Current());
  return connection->metered.FindMissing(digests);
}

absl::StatusOr<storage::Digest> StorageClient::CommitCheckpoint(
    const v1::CommitCheckpointRequest& request) {
  HS_ASSIGN_OR_RETURN(const auto connection, Current());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  v1::CommitCheckpointResponse response;
  HS_RETURN_IF_ERROR(FromGrpcStatus(
      connection->stub->CommitCheckpoint(&context, request, &response)));
  return storage::Digest::FromBytes(response.manifest_digest());
}

absl::StatusOr<v1::GetManifestsResponse> StorageClient::GetManifests(
    const std::string& checkpoint) {
  HS_ASSIGN_OR_RETURN(const auto connection, Current());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  v1::GetManifestsRequest request;
  request.set_checkpoint(checkpoint);
  v1::GetManifestsResponse response;
  HS_RETURN_IF_ERROR(FromGrpcStatus(
      connection->stub->GetManifests(&context, request, &response)));
  return response;
}

}  // namespace headstart::worker
