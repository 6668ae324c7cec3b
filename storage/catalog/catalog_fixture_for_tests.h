// A catalog in a folder of its own, with blobs in memory.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/blob/memory_blob_store.h"
#include "storage/catalog/manifests_for_tests.h"
#include "storage/catalog/rocksdb_catalog.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::storage {

class CatalogFixture : public testing::Test {
 protected:
  static constexpr char kRun[] = "studies/1/trials/1";
  static constexpr absl::Duration kGrace = absl::Minutes(10);

  CatalogFixture() { Reopen(); }

  void Reopen(bool adopt_cluster = false) {
    catalog_.reset();
    auto opened =
        RocksdbCatalog::Open({.folder = folder_ / "catalog",
                              .check_room = [this](int64_t) { return room_; },
                              .adopt_cluster = adopt_cluster,
                              .env = env_},
                             blobs_, clock_);
    ASSERT_OK(opened);
    catalog_ = *std::move(opened);
  }

  absl::StatusOr<Digest> Commit(const TestEpoch& epoch) {
    EXPECT_OK(blobs_.PutAll(epoch.blobs));
    return catalog_->Commit(epoch.request);
  }
  absl::Status Set(const v1::SetReferencesRequest& request) {
    return catalog_->SetReferences(request).status();
  }
  // Acknowledges epochs of kRun up to `epoch`, and keeps `references`.
  void Acknowledge(
      int64_t epoch,
      const std::vector<std::pair<std::string, v1::ReferenceReason>>&
          references = {},
      bool ended = false) {
    v1::SetReferencesRequest request =
        MakeReferences("studies/1", ++generation_, references);
    AddHorizon(request, kRun, epoch, 1, ended);
    ASSERT_OK(Set(request));
  }

  std::vector<std::string> List(const std::string& parent = "") {
    v1::ListCheckpointsRequest request;
    request.set_parent(parent);
    const auto response = catalog_->List(request);
    EXPECT_OK(response);
    std::vector<std::string> names;
    for (const auto& checkpoint : response->checkpoints()) {
      names.push_back(checkpoint.name());
    }
    return names;
  }
  // "OWNER REASON" of each reference.
  std::vector<std::string> ReasonsOf(const std::string& name) {
    const auto checkpoint = catalog_->Get(name);
    EXPECT_OK(checkpoint);
    std::vector<std::string> reasons;
    for (const v1::Reference& reference : checkpoint->references()) {
      reasons.push_back(
          absl::StrCat(reference.owner(), " ",
                       v1::ReferenceReason_Name(reference.reason())));
    }
    return reasons;
  }
  int64_t Forget() {
    const auto forgotten = catalog_->ForgetUnreferenced(kGrace);
    EXPECT_OK(forgotten);
    return *forgotten;
  }
  static std::string Name(int64_t epoch) {
    return absl::StrCat(kRun, "/epochs/", epoch);
  }

  TempDir folder_;
  FakeClock clock_;
  MemoryBlobStore blobs_;
  absl::Status room_;
  rocksdb::Env* env_ = nullptr;
  int64_t generation_ = 0;
  std::unique_ptr<RocksdbCatalog> catalog_;
};

}  // namespace headstart::storage
