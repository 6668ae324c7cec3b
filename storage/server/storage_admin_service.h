// StorageAdminService: verify and compact, on demand.
#pragma once

#include "headstart/v1/admin_service.grpc.pb.h"
#include "storage/blob/blob_store.h"
#include "storage/catalog/rocksdb_catalog.h"
#include "storage/pack/pack_store.h"
#include "storage/retention/collector.h"
#include "storage/retention/compactor.h"

namespace headstart::storage {

// Borrows all it is given; gRPC's threads call. A caller that goes away ends
// the work.
class StorageAdminService final : public v1::StorageAdminService::Service {
 public:
  // `blobs` is what is read from, `packs` what is listed.
  StorageAdminService(const RocksdbCatalog& catalog, PackStore& packs,
                      const BlobStore& blobs, Collector& collector,
                      Compactor& compactor)
      : catalog_(catalog),
        packs_(packs),
        blobs_(blobs),
        collector_(collector),
        compactor_(compactor) {}

  grpc::Status VerifyStorage(
      grpc::ServerContext* context, const v1::VerifyStorageRequest* request,
      grpc::ServerWriter<v1::VerifyStorageResponse>* writer) override;
  grpc::Status CompactStorage(
      grpc::ServerContext* context, const v1::CompactStorageRequest* request,
      grpc::ServerWriter<v1::CompactStorageResponse>* writer) override;

 private:
  const RocksdbCatalog& catalog_;
  PackStore& packs_;
  const BlobStore& blobs_;
  Collector& collector_;
  Compactor& compactor_;
};

}  // namespace headstart::storage
