// BlobService: gRPC in, blobs and commits out.
#pragma once

#include <cstdint>

#include "base/mutex.h"
#include "headstart/v1/checkpoint_service.grpc.pb.h"
#include "storage/blob/blob_store.h"
#include "storage/catalog/rocksdb_catalog.h"

namespace headstart::storage {

// Shares memory out, in the order of asking. Who asks for more than all of it
// gets it once nobody else has any. Any thread may call.
class ByteBudget {
 public:
  explicit ByteBudget(int64_t bytes) : bytes_(bytes) {}

  // False if there is not as much, or others wait.
  bool TryTake(int64_t bytes);
  // Waits. Whoever waits holds nothing, lest all wait for each other.
  void Take(int64_t bytes);
  void Give(int64_t bytes);

  int64_t waiting() const;
  int64_t taken_bytes() const;

 private:
  bool Fits(int64_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return taken_bytes_ == 0 || taken_bytes_ + bytes <= bytes_;
  }

  const int64_t bytes_;
  mutable Mutex mu_;
  int64_t taken_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  // Places in the queue: the first that waits, and the next one free.
  int64_t first_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t last_ ABSL_GUARDED_BY(mu_) = 0;
};

// What agents store with. Translates; the answers are the store's and the
// catalog's. Uploads hold kUploadBytesMax of blobs at a time, or one larger
// blob; the others wait.
//
// Borrows both; gRPC's threads call.
class BlobService final : public v1::BlobService::Service {
 public:
  static constexpr int64_t kUploadBytesMax = int64_t{256} << 20;

  BlobService(BlobStore& blobs, RocksdbCatalog& catalog,
              int64_t upload_bytes_max = kUploadBytesMax)
      : blobs_(blobs), catalog_(catalog), upload_budget_(upload_bytes_max) {}

  // Uploads that wait for memory.
  int64_t WaitingUploads() const { return upload_budget_.waiting(); }
  // Of the blobs that uploads hold in memory now.
  int64_t HeldBytes() const { return upload_budget_.taken_bytes(); }

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

 private:
  BlobStore& blobs_;
  RocksdbCatalog& catalog_;
  ByteBudget upload_budget_;
};

}  // namespace headstart::storage
