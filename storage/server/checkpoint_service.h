// CheckpointService: what users ask about checkpoints.
#pragma once

#include <string>
#include <utility>

#include "headstart/v1/checkpoint_service.grpc.pb.h"
#include "storage/blob/blob_store.h"
#include "storage/catalog/rocksdb_catalog.h"
#include "storage/pack/pack_store.h"

namespace headstart::storage {

// Translates; the answers are the catalog's. `blobs` is what is downloaded
// from, `packs` what usage is counted in, `folder` where they are.
//
// Borrows all it is given; gRPC's threads call.
class CheckpointService final : public v1::CheckpointService::Service {
 public:
  CheckpointService(RocksdbCatalog& catalog, const BlobStore& blobs,
                    const PackStore& packs, std::string folder)
      : catalog_(catalog),
        blobs_(blobs),
        packs_(packs),
        folder_(std::move(folder)) {}

  grpc::Status GetCheckpoint(grpc::ServerContext* context,
                             const v1::GetCheckpointRequest* request,
                             v1::Checkpoint* response) override;
  grpc::Status ListCheckpoints(grpc::ServerContext* context,
                               const v1::ListCheckpointsRequest* request,
                               v1::ListCheckpointsResponse* response) override;
  grpc::Status DownloadCheckpoint(
      grpc::ServerContext* context,
      const v1::DownloadCheckpointRequest* request,
      grpc::ServerWriter<v1::DownloadCheckpointResponse>* writer) override;
  grpc::Status PinCheckpoint(grpc::ServerContext* context,
                             const v1::PinCheckpointRequest* request,
                             v1::Checkpoint* response) override;
  grpc::Status UnpinCheckpoint(grpc::ServerContext* context,
                               const v1::UnpinCheckpointRequest* request,
                               v1::Checkpoint* response) override;
  grpc::Status ImportCheckpoint(grpc::ServerContext* context,
                                const v1::ImportCheckpointRequest* request,
                                v1::Checkpoint* response) override;
  grpc::Status GetUsage(grpc::ServerContext* context,
                        const v1::GetUsageRequest* request,
                        v1::GetUsageResponse* response) override;

 private:
  RocksdbCatalog& catalog_;
  const BlobStore& blobs_;
  const PackStore& packs_;
  const std::string folder_;
};

// ReferenceService: what the scheduler wants kept. As above.
class ReferenceService final : public v1::ReferenceService::Service {
 public:
  explicit ReferenceService(RocksdbCatalog& catalog) : catalog_(catalog) {}

  grpc::Status SetReferences(grpc::ServerContext* context,
                             const v1::SetReferencesRequest* request,
                             v1::SetReferencesResponse* response) override;

 private:
  RocksdbCatalog& catalog_;
};

}  // namespace headstart::storage
