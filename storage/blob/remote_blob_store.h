// Blobs kept by a storage server, over BlobService's streams.
#pragma once

#include <memory>
#include <vector>

#include <grpcpp/channel.h>

#include "absl/time/time.h"
#include "base/net/call_group.h"
#include "headstart/v1/checkpoint_service.grpc.pb.h"
#include "storage/blob/blob_store.h"

namespace headstart::storage {

struct RemoteBlobStoreOptions {
  // A call is given up after this, plus a second for each 4 MiB it carries.
  absl::Duration call_timeout = absl::Seconds(60);
  // Where its calls are counted in, to be ended before that; outlives the
  // store.
  CallGroup* calls = nullptr;
};

// A BlobStore whose blobs are on the other side of a channel.
//
// PutAll is one stream for all its blobs and sends what it is given: ask
// FindMissing first to send a blob only once. It does not check digests, the
// server does; what comes back is checked by a VerifyingBlobStore around it.
// A server that is away is Unavailable, a call that takes too long
// DeadlineExceeded; both may be repeated as they are.
class RemoteBlobStore final : public BlobStore {
 public:
  explicit RemoteBlobStore(std::shared_ptr<grpc::Channel> channel,
                           RemoteBlobStoreOptions options = {});

  absl::Status PutAll(absl::Span<const Blob> blobs) override;
  absl::StatusOr<absl::Cord> Get(const Digest& digest) const override;
  absl::StatusOr<std::vector<Digest>> FindMissing(
      absl::Span<const Digest> digests) override;

 private:
  const std::unique_ptr<v1::BlobService::Stub> stub_;
  const RemoteBlobStoreOptions options_;
};

}  // namespace headstart::storage
