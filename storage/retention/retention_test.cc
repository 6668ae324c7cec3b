// What lets weights go, on a store with a clock that the test moves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <thread>

#include "storage/catalog/manifests_for_tests.h"
#include "storage/catalog/rocksdb_catalog.h"
#include "storage/pack/pack_store.h"
#include "storage/retention/collector.h"
#include "storage/retention/compactor.h"
#include "storage/retention/retention_loop.h"
#include "storage/retention/usage.h"
#include "storage/retention/verifier.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::storage {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kRun[] = "studies/1/trials/1";
constexpr absl::Duration kGrace = absl::Minutes(10);

class RetentionTest : public testing::Test {
 protected:
  RetentionTest() { Reopen(); }

  void Reopen() {
    compactor_.reset();
    collector_.reset();
    catalog_.reset();
    packs_.reset();
    packs_ = *PackStore::Open(
        {.folder = folder_.path(), .pack_bytes_max = 100'000}, clock_);
    catalog_ = *RocksdbCatalog::Open(
        {.folder = folder_ / "catalog",
         .check_room = [](int64_t) { return absl::OkStatus(); }},
        *packs_, clock_);
    collector_ =
        std::make_unique<Collector>(*catalog_, *packs_, clock_, kGrace);
    compactor_ = std::make_unique<Compactor>(*packs_);
  }

  static std::string Name(int64_t epoch, const std::string& run = kRun) {
    return absl::StrCat(run, "/epochs/", epoch);
  }
  absl::Status Commit(const TestEpoch& epoch) {
    const absl::Status stored = packs_->PutAll(epoch.blobs);
    return stored.ok() ? catalog_->Commit(epoch.request).status() : stored;
  }
  // The scheduler knows everything of kRun, it has ended, and these stay.
  void Keep(const std::vector<int64_t>& epochs, bool ended = true) {
    std::vector<std::pair<std::string, v1::ReferenceReason>> references;
    for (const int64_t epoch : epochs) {
      references.push_back({Name(epoch), v1::BEST_TRIAL});
    }
    v1::SetReferencesRequest request =
        MakeReferences("studies/1", ++generation_, references);
    AddHorizon(request, kRun, 1000, 1, ended);
    ASSERT_OK(catalog_->SetReferences(request));
  }
  Collected Collect() {
    const auto collected = collector_->Collect();
    EXPECT_OK(collected);
    return *collected;
  }
  Compacted Compact(const Compactor::Options& options) {
    const auto compacted = compactor_->Compact(
        options, [](const Compacted&) { return absl::OkStatus(); });
    EXPECT_OK(compacted);
    return *compacted;
  }
  v1::GetUsageResponse Usage(const std::string& parent = "") {
    const auto usage = ComputeUsage(*catalog_, *packs_, folder_.path(), parent);
    EXPECT_OK(usage);
    return *usage;
  }
  v1::VerifyStorageResponse VerifyAll() {
    const auto result = Verify(
        *catalog_, *packs_, *packs_,
        [](const v1::VerifyStorageResponse&) { return absl::OkStatus(); });
    EXPECT_OK(result);
    return *result;
  }
  bool IsStored(const Digest& digest) { return packs_->Get(digest).ok(); }
  int64_t PackBytesOnDisk() {
    int64_t bytes = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(folder_ / "packs")) {
      bytes += static_cast<int64_t>(entry.file_size());
    }
    return bytes;
  }
  void Damage(const Digest& digest) {
    ASSERT_OK(packs_->ForEachBlob(
        [&](const Digest& each, const BlobLocation& location) {
          if (each != digest) return;
          std::fstream pack(PackPath(folder_ / "packs", location.pack),
                            std::ios::in | std::ios::out | std::ios::binary);
          pack.seekp(location.offset + kRecordHeaderBytes + 17);
          pack.put('!');
        }));
  }

  TempDir folder_;
  FakeClock clock_;
  int64_t generation_ = 0;
  std::unique_ptr<PackStore> packs_;
  std::unique_ptr<RocksdbCatalog> catalog_;
  std::unique_ptr<Collector> collector_;
  std::unique_ptr<Compactor> compactor_;
};

TEST_F(RetentionTest, CollectsWhatHasNoReasonAfterTheGracePeriod) {
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    ASSERT_OK(Commit(MakeEpoch(kRun, epoch, epoch)));
  }
  Keep({2});
  clock_.Advance(kGrace - absl::Seconds(1));
  EXPECT_EQ(Collect().checkpoints_forgotten, 0);

  clock_.Advance(absl::Seconds(2));
  const Collected collected = Collect();

  EXPECT_EQ(collected.checkpoints_forgotten, 3);
  // Three times weights and momentum, and the momentum of epoch 2.
  EXPECT_EQ(collected.died_bytes, 7 * (8192 + kRecordHeaderBytes));
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    EXPECT_EQ(IsStored(MakeEpoch(kRun, epoch, epoch).blobs[0].digest),
              epoch == 2);
  }
  EXPECT_THAT(VerifyAll().damaged(), IsEmpty());
  EXPECT_EQ(Collect().died_bytes, 0);
}

TEST_F(RetentionTest, ForgetsTouchesOfLongAgoAlsoWhenNothingIsRemoved) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  EXPECT_EQ(packs_->TouchedCount(), 2);
  clock_.Advance(kGrace * 2);

  EXPECT_EQ(Collect().died_bytes, 0);

  EXPECT_EQ(packs_->TouchedCount(), 0);
}

TEST_F(RetentionTest, KeepsABlobThatAnotherCheckpointShares) {
  TestEpoch first = MakeEpoch(kRun, 0, 1);
  TestEpoch second = MakeEpoch(kRun, 1, 1);
  ASSERT_OK(Commit(first));
  ASSERT_OK(Commit(second));
  Keep({1});
  clock_.Advance(kGrace * 2);

  EXPECT_EQ(Collect().checkpoints_forgotten, 1);

  EXPECT_TRUE(IsStored(first.blobs[0].digest));
}

TEST_F(RetentionTest, GivesAnUploaderTheGracePeriodToCommit) {
  const TestEpoch epoch = MakeEpoch(kRun, 0, 0);
  ASSERT_OK(packs_->PutAll(epoch.blobs));
  clock_.Advance(kGrace);
  Collect();
  // Asked for on the last occasion: another grace period.
  ASSERT_THAT(packs_->FindMissing({epoch.blobs[0].digest}),
              IsOkAndHolds(IsEmpty()));
  clock_.Advance(kGrace);
  Collect();
  EXPECT_TRUE(IsStored(epoch.blobs[0].digest));
  EXPECT_FALSE(IsStored(epoch.blobs[1].digest));

  clock_.Advance(absl::Seconds(1));
  Collect();
  EXPECT_FALSE(IsStored(epoch.blobs[0].digest));
  EXPECT_OK(Commit(epoch));
}

TEST_F(RetentionTest, NeverTakesABlobFromUnderACommit) {
  // Commits of blobs that were stored long ago race a collector for which the
  // grace period is always over.
  std::atomic<bool> done = false;
  std::thread collecting([&] {
    while (!done) {
      clock_.Advance(kGrace * 2);
      EXPECT_OK(collector_->Collect());
    }
  });
  int committed = 0;
  for (int64_t epoch = 0; epoch < 200; ++epoch) {
    const TestEpoch made = MakeEpoch(kRun, epoch, epoch);
    EXPECT_OK(packs_->PutAll(made.blobs));
    const absl::Status status = catalog_->Commit(made.request).status();
    if (status.ok()) {
      ++committed;
    } else {
      EXPECT_THAT(status, StatusIs(StatusCode::kFailedPrecondition));
    }
  }
  done = true;
  collecting.join();

  EXPECT_GT(committed, 0);
  EXPECT_EQ(Usage().checkpoint_count(), committed);
  EXPECT_THAT(VerifyAll().damaged(), IsEmpty());
}

TEST_F(RetentionTest, FreesTheRoomOfDeadRecords) {
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    ASSERT_OK(Commit(MakeEpoch(kRun, epoch, epoch)));
  }
  const int64_t before = PackBytesOnDisk();
  Keep({3, 12});
  clock_.Advance(kGrace * 2);
  Collect();
  EXPECT_EQ(PackBytesOnDisk(), before);
  EXPECT_EQ(Usage().dead_bytes(), 38 * (8192 + kRecordHeaderBytes));

  const Compacted compacted = Compact({.active_too = true});

  EXPECT_EQ(compacted.freed_bytes,
            before - PackBytesOnDisk() + kPackHeaderBytes);  // One new pack.
  EXPECT_EQ(PackBytesOnDisk(),
            kPackHeaderBytes + 2 * (8192 + kRecordHeaderBytes));
  EXPECT_EQ(Usage().dead_bytes(), 0);
  for (const bool reopened : {false, true}) {
    if (reopened) Reopen();
    EXPECT_THAT(VerifyAll().damaged(), IsEmpty());
    EXPECT_EQ(VerifyAll().blob_count(), 2);
  }
}

TEST_F(RetentionTest, LeavesPacksThatAreMostlyAlive) {
  for (int64_t epoch = 0; epoch < 6; ++epoch) {
    ASSERT_OK(Commit(MakeEpoch(kRun, epoch, epoch)));
  }
  Keep({0, 1, 2, 3, 4}, /*ended=*/true);
  v1::SetReferencesRequest resumes = MakeReferences("trainings/1", 5);
  for (int64_t epoch = 0; epoch < 5; ++epoch) {
    v1::Reference& reference = *resumes.add_references();
    reference.set_checkpoint(Name(epoch) + "/resume");
    reference.set_reason(v1::SOURCE_OF);
  }
  ASSERT_OK(catalog_->SetReferences(resumes));
  clock_.Advance(kGrace * 2);
  Collect();
  ASSERT_GT(Usage().dead_bytes(), 0);

  EXPECT_EQ(Compact({.active_too = true}).packs_rewritten, 0);
  EXPECT_EQ(Compact({.dead_share_min = 0.01}).packs_rewritten, 0);  // Active.
  EXPECT_EQ(
      Compact({.dead_share_min = 0.01, .active_too = true}).packs_rewritten, 1);
}

TEST_F(RetentionTest, CommitsAndReadsWhilePacksAreRewritten) {
  std::atomic<bool> done = false;
  std::thread compacting([&] {
    while (!done) {
      EXPECT_OK(collector_->Collect());
      EXPECT_OK(compactor_->Compact(
          {.dead_share_min = 0.01, .active_too = true},
          [](const Compacted&) { return absl::OkStatus(); }));
    }
  });
  std::vector<int64_t> kept;
  for (int64_t epoch = 0; epoch < 60; ++epoch) {
    const TestEpoch made = MakeEpoch(kRun, epoch, epoch);
    EXPECT_OK(Commit(made));
    if (epoch % 4 == 0) kept.push_back(epoch);
    Keep(kept, /*ended=*/true);
    clock_.Advance(kGrace * 2);  // Never between a commit and its reason.
    for (const int64_t other : kept) {
      EXPECT_TRUE(IsStored(MakeEpoch(kRun, other, other).blobs[0].digest));
    }
  }
  done = true;
  compacting.join();

  EXPECT_THAT(VerifyAll().damaged(), IsEmpty());
}

TEST_F(RetentionTest, CountsWhatIsKeptByReason) {
  // Epochs 0 and 1 share their weights; they differ in momentum only.
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 1)));
  TestEpoch second = MakeEpoch(kRun, 1, 1);
  ASSERT_OK(Commit(second));
  ASSERT_OK(Commit(MakeEpoch("studies/2/trials/1", 0, 7)));
  v1::SetReferencesRequest request =
      MakeReferences("studies/1", 1,
                     {{Name(0), v1::BEST_TRIAL},
                      {Name(1), v1::BEST_TRIAL},
                      {Name(1), v1::PROMOTABLE}});
  AddHorizon(request, kRun, 1);
  ASSERT_OK(catalog_->SetReferences(request));

  const v1::GetUsageResponse usage = Usage("studies/1");

  EXPECT_EQ(usage.checkpoint_count(), 2);
  EXPECT_EQ(usage.live_bytes(), 2 * 8192);
  EXPECT_EQ(usage.logical_bytes(), 2 * (8192 + 48 + 8192 + 8));
  std::map<v1::ReferenceReason, std::pair<int64_t, int64_t>> by_reason;
  for (const auto& entry : usage.by_reason()) {
    by_reason[entry.reason()] = {entry.bytes(), entry.checkpoint_count()};
  }
  EXPECT_THAT(
      by_reason,
      ElementsAre(testing::Pair(v1::BEST_TRIAL, std::make_pair(8192, 2)),
                  testing::Pair(v1::PROMOTABLE, std::make_pair(8192, 1))));
  EXPECT_EQ(usage.pack_bytes(), PackBytesOnDisk());
  EXPECT_EQ(usage.dead_bytes(), 0);
  EXPECT_GT(usage.free_bytes(), 0);
  EXPECT_EQ(Usage().checkpoint_count(), 3);
  EXPECT_EQ(Usage(std::string(kRun)).checkpoint_count(), 2);
}

TEST_F(RetentionTest, VerifyNamesEveryCheckpointThatADamagedBlobIsIn) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 1)));
  ASSERT_OK(Commit(MakeEpoch(kRun, 1, 1)));
  ASSERT_OK(Commit(MakeEpoch(kRun, 2, 2)));
  Damage(Digest::Of(TensorData(2, 101)));

  for (const bool again : {false, true}) {  // From quarantine the second time.
    const v1::VerifyStorageResponse result = VerifyAll();

    EXPECT_TRUE(result.done());
    ASSERT_EQ(result.damaged_size(), 2) << again;
    EXPECT_EQ(result.damaged(0).checkpoint(), Name(0));
    EXPECT_EQ(result.damaged(1).checkpoint(), Name(1));
    EXPECT_EQ(result.damaged(0).tensor(), "fc.weight");
    EXPECT_THAT(result.damaged(0).message(), testing::HasSubstr("checksum"));
  }
  // Stored anew, all is well.
  ASSERT_OK(packs_->PutAll(MakeEpoch(kRun, 0, 1).blobs));
  EXPECT_THAT(VerifyAll().damaged(), IsEmpty());
}

TEST_F(RetentionTest, VerifyTellsHowFarItIs) {
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    ASSERT_OK(Commit(MakeEpoch(kRun, epoch, epoch)));
  }
  std::vector<int64_t> checked;
  ASSERT_OK_AND_ASSIGN(const v1::VerifyStorageResponse result,
                       Verify(*catalog_, *packs_, *packs_,
                              [&](const v1::VerifyStorageResponse& now) {
                                EXPECT_EQ(now.total_bytes(), 6 * 8192);
                                EXPECT_FALSE(now.done());
                                checked.push_back(now.checked_bytes());
                                return absl::OkStatus();
                              }));
  EXPECT_THAT(checked, ElementsAre(0));  // Too little for another message.
  EXPECT_EQ(result.checked_bytes(), result.total_bytes());

  EXPECT_THAT(Verify(*catalog_, *packs_, *packs_,
                     [](const v1::VerifyStorageResponse&) {
                       return absl::CancelledError("gone");
                     }),
              StatusIs(StatusCode::kCancelled));
}

TEST_F(RetentionTest, TheLoopCollectsCompactsAndShowsIt) {
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    ASSERT_OK(Commit(MakeEpoch(kRun, epoch, epoch)));
  }
  Keep({19});
  clock_.Advance(kGrace * 2);
  Telemetry telemetry;
  const auto has = [&](const std::string& line) {
    return testing::Matches(testing::HasSubstr(line + "\n"))(telemetry.Text());
  };
  RetentionLoop loop(
      {*catalog_, *packs_, *collector_, *compactor_, telemetry, clock_},
      folder_.path(), kGrace);
  EXPECT_TRUE(has("headstart_storage_checkpoints 20"));
  EXPECT_TRUE(has("headstart_checkpoint_bytes{reason=\"pinned\"} 0"));

  clock_.AwaitWaiters(1);
  clock_.Advance(absl::Minutes(1));
  clock_.AwaitWaiters(1);

  EXPECT_TRUE(has("headstart_storage_checkpoints 1"));
  EXPECT_TRUE(has("headstart_checkpoint_bytes{reason=\"best_trial\"} 8192"));
  EXPECT_TRUE(has("headstart_collector_forgotten_checkpoints_total 19"));
  EXPECT_TRUE(has("headstart_blobs_quarantined_total 0"));
  // What has not changed is not read again.
  const std::string passes = "headstart_storage_usage_passes_total ";
  EXPECT_TRUE(has(passes + "2"));
  const auto advance = [&] {
    clock_.Advance(absl::Minutes(1));
    clock_.AwaitWaiters(1);
  };
  advance();
  EXPECT_TRUE(has(passes + "2"));
  ASSERT_OK(packs_->PutAll(MakeEpoch(kRun, 20, 20).blobs));
  advance();
  EXPECT_TRUE(has(passes + "3"));
  Keep({});
  advance();
  EXPECT_TRUE(has(passes + "4"));
  EXPECT_TRUE(has("headstart_checkpoint_bytes{reason=\"best_trial\"} 0"));
  const Digest damaged = MakeEpoch(kRun, 19, 19).blobs[0].digest;
  Damage(damaged);
  EXPECT_FALSE(IsStored(damaged));
  EXPECT_TRUE(has("headstart_blobs_quarantined_total 1"));
  // Closed packs were rewritten, the active one was left.
  EXPECT_LE(PackBytesOnDisk(), 100'000 + kPackHeaderBytes);
  loop.Stop();
}

}  // namespace
}  // namespace headstart::storage
