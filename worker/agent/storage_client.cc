#include "worker/agent/storage_client.h"

#include <grpcpp/client_context.h>

#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/net/grpc_status.h"
#include "base/status_macros.h"
#include "headstart/v1/checkpoint_service.grpc.pb.h"
#include "storage/blob/remote_blob_store.h"
#include "worker/agent/channel.h"

namespace headstart::worker {
namespace {

constexpr std::chrono::seconds kCallTimeout{60};

}  // namespace

struct StorageClient::Connection {
  Connection(const std::string& address, CallGroup& calls)
      : channel(ConnectTo(address)),
        stub(v1::BlobService::NewStub(channel)),
        remote(channel, {.calls = &calls}) {}

  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::BlobService::Stub> stub;
  storage::RemoteBlobStore remote;
};

// Whatever connection there is, as one store: what counts its calls is there
// before the first.
class StorageClient::Relay final : public storage::BlobStore {
 public:
  explicit Relay(StorageClient& client) : client_(client) {}

  absl::Status PutAll(absl::Span<const storage::Blob> blobs) override {
    HS_ASSIGN_OR_RETURN(const auto connection, client_.Current());
    return connection->remote.PutAll(blobs);
  }
  absl::StatusOr<absl::Cord> Get(const storage::Digest& digest) const override {
    HS_ASSIGN_OR_RETURN(const auto connection, client_.Current());
    return connection->remote.Get(digest);
  }
  absl::StatusOr<std::vector<storage::Digest>> FindMissing(
      absl::Span<const storage::Digest> digests) override {
    HS_ASSIGN_OR_RETURN(const auto connection, client_.Current());
    return connection->remote.FindMissing(digests);
  }

 private:
  StorageClient& client_;
};

StorageClient::StorageClient(Telemetry& telemetry)
    : relay_(std::make_unique<Relay>(*this)),
      metered_(*relay_, telemetry),
      verifying_(metered_) {}

StorageClient::~StorageClient() = default;

void StorageClient::SetAddress(const std::string& address) {
  MutexLock lock(&mu_);
  if (address == address_) return;
  HS_LOG(kInfo, "storage is at address={}", address);
  address_ = address;
  connection_ = std::make_shared<Connection>(address, calls_);
}

void StorageClient::Cancel() { calls_.Cancel(); }

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
  return metered_.PutAll(blobs);
}

absl::StatusOr<absl::Cord> StorageClient::Get(const storage::Digest& digest) {
  return verifying_.Get(digest);
}

absl::StatusOr<std::vector<storage::Digest>> StorageClient::FindMissing(
    absl::Span<const storage::Digest> digests) {
  return metered_.FindMissing(digests);
}

absl::StatusOr<storage::Digest> StorageClient::CommitCheckpoint(
    const v1::CommitCheckpointRequest& request) {
  HS_ASSIGN_OR_RETURN(const auto connection, Current());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  const CallGroup::Member member(&calls_, context);
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
  const CallGroup::Member member(&calls_, context);
  v1::GetManifestsRequest request;
  request.set_checkpoint(checkpoint);
  v1::GetManifestsResponse response;
  HS_RETURN_IF_ERROR(FromGrpcStatus(
      connection->stub->GetManifests(&context, request, &response)));
  return response;
}

}  // namespace headstart::worker
