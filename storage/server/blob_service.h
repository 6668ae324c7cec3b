// BlobService: gRPC in, blobs and commits out.
#pragma once

#include "base/mutex.h"
#include "headstart/v1/checkpoint_service.grpc.pb.h"
#include "storage/blob/blob_store.h"
#include "storage/catalog/rocksdb_catalog.h"

namespace headstart::storage {

// What agents store with. Translates; the answers are the store's and the
// catalog's. Of uploads, eight at a time are taken in, the others wait: each
// may hold a few dozen megabytes.
//
// Borrows both; gRPC's threads call.
class BlobService final : public v1::BlobService::Service {
 public:
  BlobService(BlobStore& blobs, RocksdbCatalog& catalog)
      : blobs_(blobs), catalog_(catalog) {}

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
  Mutex mu_;
  int upload_count_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace headstart::storage
