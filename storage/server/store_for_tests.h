// A whole storage server in the test's own process, on a Unix socket.
#pragma once

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/net/listener.h"
#include "storage/catalog/rocksdb_catalog.h"
#include "storage/pack/pack_store.h"
#include "storage/retention/collector.h"
#include "storage/retention/compactor.h"
#include "storage/server/blob_service.h"
#include "storage/server/checkpoint_service.h"
#include "storage/server/storage_admin_service.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::storage {

// What main.cc makes, with a clock that the test moves and no retention thread.
class StoreForTests {
 public:
  static constexpr absl::Duration kGrace = absl::Minutes(10);

  explicit StoreForTests(
      int64_t pack_bytes_max = int64_t{256} << 20,
      int64_t upload_bytes_max = BlobService::kUploadBytesMax)
      : packs_(*PackStore::Open(
            {.folder = folder_.path(), .pack_bytes_max = pack_bytes_max},
            clock_)),
        catalog_(*RocksdbCatalog::Open(
            {.folder = folder_ / "catalog",
             .check_room = [this](int64_t n) { return packs_->CheckRoom(n); }},
            *packs_, clock_)),
        collector_(*catalog_, *packs_, clock_, kGrace),
        compactor_(*packs_),
        blob_service_(*packs_, *catalog_, upload_bytes_max),
        checkpoint_service_(*catalog_, *packs_, *packs_, folder_.path()),
        reference_service_(*catalog_),
        admin_service_(*catalog_, *packs_, *packs_, collector_, compactor_),
        listener_(*Listener::Start(
            {.address = *ListenAddress::Parse(
                 absl::StrCat("unix:", folder_ / "socket")),
             .services = {&blob_service_, &checkpoint_service_,
                          &reference_service_, &admin_service_}})) {}

  std::shared_ptr<grpc::Channel> Connect() const {
    return grpc::CreateChannel(listener_->endpoint(),
                               grpc::InsecureChannelCredentials());
  }

  const std::string& folder() const { return folder_.path(); }
  FakeClock& clock() { return clock_; }
  PackStore& packs() { return *packs_; }
  RocksdbCatalog& catalog() { return *catalog_; }
  BlobService& blob_service() { return blob_service_; }
  Collector& collector() { return collector_; }
  Compactor& compactor() { return compactor_; }

 private:
  TempDir folder_;
  FakeClock clock_;
  std::unique_ptr<PackStore> packs_;
  std::unique_ptr<RocksdbCatalog> catalog_;
  Collector collector_;
  Compactor compactor_;
  BlobService blob_service_;
  CheckpointService checkpoint_service_;
  ReferenceService reference_service_;
  StorageAdminService admin_service_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace headstart::storage
