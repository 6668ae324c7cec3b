// A small store as the first release wrote it, opened by this one.
//
//   storage_format_test --write FOLDER   makes such a store with the formats of
//                                        today; for a new format beside the old
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/file.h"
#include "storage/catalog/manifests_for_tests.h"
#include "storage/catalog/rocksdb_catalog.h"
#include "storage/pack/pack_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::storage {
namespace {

constexpr char kRun[] = "studies/1/trials/1";

struct Store {
  explicit Store(const std::string& folder) {
    auto opened = PackStore::Open({.folder = folder}, clock);
    HS_CHECK_OK(opened.status());
    packs = *std::move(opened);
    auto catalog_opened = RocksdbCatalog::Open(
        {.folder = absl::StrCat(folder, "/catalog"),
         .check_room = [](int64_t) { return absl::OkStatus(); }},
        *packs, clock);
    HS_CHECK_OK(catalog_opened.status());
    catalog = *std::move(catalog_opened);
  }

  FakeClock clock;
  std::unique_ptr<PackStore> packs;
  std::unique_ptr<RocksdbCatalog> catalog;
};

// Two epochs, one with bytes that compress, a reference, a horizon and a pin.
void Fill(Store& store) {
  TestEpoch compressed = MakeEpoch(kRun, 1, 1);
  const std::string zeros(8192, '\0');
  compressed.request.mutable_resume_manifest()->mutable_tensors(0)->set_digest(
      std::string(Digest::Of(zeros).bytes()));
  compressed.blobs[1] = {Digest::Of(zeros), absl::Cord(zeros)};
  for (const TestEpoch& epoch : {MakeEpoch(kRun, 0, 0), compressed}) {
    HS_CHECK_OK(store.packs->PutAll(epoch.blobs));
    HS_CHECK_OK(store.catalog->Commit(epoch.request).status());
  }
  v1::SetReferencesRequest set = MakeReferences(
      "studies/1", 3, {{absl::StrCat(kRun, "/epochs/0"), v1::BEST_TRIAL}});
  AddHorizon(set, kRun, 0);
  HS_CHECK_OK(store.catalog->SetReferences(set).status());
  v1::PinCheckpointRequest pin;
  pin.set_name(absl::StrCat(kRun, "/epochs/1"));
  pin.set_reason("golden");
  pin.set_request_id("a");
  HS_CHECK_OK(store.catalog->Pin(pin).status());
}

// All that a store says of itself, its blobs and manifests read and checked.
std::string Describe(const Store& store) {
  std::string text;
  std::map<Digest, BlobLocation> blobs;
  HS_CHECK_OK(store.packs->ForEachBlob(
      [&](const Digest& digest, const BlobLocation& location) {
        blobs[digest] = location;
      }));
  for (const auto& [digest, location] : blobs) {
    const auto bytes = store.packs->Get(digest);
    absl::StrAppend(
        &text, "blob ", digest.ToString(), " stored ", location.stored_size,
        bytes.ok() && Digest::Of(*bytes) == digest
            ? absl::StrCat(" read ", bytes->size())
            : absl::StrCat(" not read: ", bytes.status().ToString()),
        "\n");
  }
  const auto held = store.catalog->Held("");
  HS_CHECK_OK(held.status());
  for (const HeldManifest& item : *held) {
    const auto manifest = store.catalog->ReadManifest(item.digest);
    absl::StrAppend(
        &text, "manifest ", item.name.ToString(), " ", item.digest.ToString(),
        manifest.ok() && ManifestDigest(*manifest) == item.digest
            ? absl::StrCat(" read, tensors ", manifest->tensors_size())
            : absl::StrCat(" not read: ", manifest.status().ToString()));
    for (const v1::Reference& reference : item.reasons) {
      absl::StrAppend(&text, ", kept by ", reference.owner(), " ",
                      v1::ReferenceReason_Name(reference.reason()));
      if (reference.reason() == v1::PINNED) {
        absl::StrAppend(&text, " ", reference.detail());
      }
    }
    const auto checkpoint = store.catalog->Get(item.name.ToString());
    HS_CHECK_OK(checkpoint.status());
    absl::StrAppend(&text, ", attempt ", checkpoint->attempt(), " at ",
                    checkpoint->commit_time().seconds(), "\n");
  }
  return text;
}

TEST(StorageFormatTest, ReadsWhatTheFirstReleaseWrote) {
  TempDir folder;
  std::filesystem::copy(GOLDEN_FOLDER "/storage_format_1", folder / "store",
                        std::filesystem::copy_options::recursive);
  ASSERT_OK_AND_ASSIGN(const std::string golden,
                       ReadFile(GOLDEN_FOLDER "/storage_format_1.txt"));

  Store store(folder / "store");

  EXPECT_EQ(Describe(store), golden);
  // It also goes on in it, and remembers whose it is and the answers it gave.
  const TestEpoch next = MakeEpoch(kRun, 2, 2);
  ASSERT_OK(store.packs->PutAll(next.blobs));
  EXPECT_OK(store.catalog->Commit(next.request));
  v1::SetReferencesRequest foreign = MakeReferences("studies/1", 4);
  foreign.set_cluster_id("another");
  EXPECT_THAT(store.catalog->SetReferences(foreign),
              StatusIs(absl::StatusCode::kFailedPrecondition, kCluster));
  v1::PinCheckpointRequest pin;
  pin.set_name(absl::StrCat(kRun, "/epochs/1"));
  pin.set_reason("another");
  pin.set_request_id("a");
  EXPECT_THAT(store.catalog->Pin(pin),
              StatusIs(absl::StatusCode::kInvalidArgument, "golden"));
}

// Makes the folder; returns what FOLDER.txt is to say.
std::string Write(const std::string& folder) {
  HS_CHECK(!std::filesystem::exists(folder));
  Fill(*std::make_unique<Store>(folder));
  const std::string text = Describe(*std::make_unique<Store>(folder));
  for (const std::string database : {"index", "catalog"}) {
    // What RocksDB does not need to open it again.
    std::vector<std::filesystem::path> removed;
    for (const auto& entry : std::filesystem::directory_iterator(
             absl::StrCat(folder, "/", database))) {
      const std::string name = entry.path().filename();
      if (name.starts_with("LOG") || name.starts_with("OPTIONS") ||
          name == "LOCK") {
        removed.push_back(entry.path());
      }
    }
    for (const auto& path : removed) std::filesystem::remove(path);
  }
  return text;
}

}  // namespace
}  // namespace headstart::storage

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc == 3 && std::string(argv[1]) == "--write") {
    std::fputs(headstart::storage::Write(argv[2]).c_str(), stdout);
    return 0;
  }
  return RUN_ALL_TESTS();
}
