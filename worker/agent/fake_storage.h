// A storage server in memory, for tests of the agent: BlobService over real
// gRPC, with the faults that an agent must stand.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/mutex.h"
#include "base/net/listener.h"
#include "headstart/v1/checkpoint_service.grpc.pb.h"

namespace headstart::worker {

class FakeStorage final : public v1::BlobService::Service {
 public:
  // `socket_path` has no server yet.
  explicit FakeStorage(const std::string& socket_path);

  const std::string& address() const { return listener_->endpoint(); }

  // Until further notice every call fails like this; OK ends it.
  void FailWith(grpc::StatusCode code);
  // Commits hang from here on until they are given up by who makes them.
  void Hang();
  // Waits until a commit hangs.
  void AwaitHangingCall();
  // Waits until one that hung was given up; true: before its deadline.
  bool AwaitGivenUpCall();
  // Loses every blob just before the next commit.
  void LoseBlobsOnce();
  // Changes a byte of every blob that is longer than none.
  void DamageBlobs();
  // Commits with older tokens are ABORTED from here on.
  void SeeToken(const std::string& run, int64_t token);
  void DropResumeManifest(const std::string& checkpoint);

  // Waits until a call has failed because of FailWith.
  void AwaitFailedCall();

  // Waits until the checkpoint is committed.
  void AwaitCommit(const std::string& checkpoint);

  // Checkpoint name to manifest digest.
  std::map<std::string, std::string> digests() const;
  v1::CommitCheckpointRequest commit(const std::string& checkpoint) const;
  int64_t uploaded_blob_count() const;

 private:
  grpc::Status FindMissingBlobs(
      grpc::ServerContext* context, const v1::FindMissingBlobsRequest* request,
      v1::FindMissingBlobsResponse* response) override;
  grpc::Status UploadBlobs(grpc::ServerContext* context,
                           grpc::ServerReader<v1::UploadBlobsRequest>* reader,
                           v1::UploadBlobsResponse* response) override;
  grpc::Status DownloadBlobs(
      grpc::ServerContext* context, const v1::DownloadBlobsRequest* request,
      grpc::ServerWriter<v1::DownloadBlobsResponse>* writer) override;
  grpc::Status CommitCheckpoint(
      grpc::ServerContext* context, const v1::CommitCheckpointRequest* request,
      v1::CommitCheckpointResponse* response) override;
  grpc::Status GetManifests(grpc::ServerContext* context,
                            const v1::GetManifestsRequest* request,
                            v1::GetManifestsResponse* response) override;

  grpc::Status Fault() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  grpc::StatusCode fault_ ABSL_GUARDED_BY(mu_) = grpc::StatusCode::OK;
  int64_t failed_call_count_ ABSL_GUARDED_BY(mu_) = 0;
  bool hangs_ ABSL_GUARDED_BY(mu_) = false;
  int64_t hanging_call_count_ ABSL_GUARDED_BY(mu_) = 0;
  std::optional<bool> given_up_early_ ABSL_GUARDED_BY(mu_);
  bool lose_blobs_ ABSL_GUARDED_BY(mu_) = false;
  std::map<std::string, std::string> blobs_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, v1::CommitCheckpointRequest> commits_
      ABSL_GUARDED_BY(mu_);
  std::map<std::string, int64_t> tokens_ ABSL_GUARDED_BY(mu_);
  int64_t uploaded_blob_count_ ABSL_GUARDED_BY(mu_) = 0;
  std::unique_ptr<Listener> listener_;
};

}  // namespace headstart::worker
