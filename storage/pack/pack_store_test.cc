#include "storage/pack/pack_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "absl/time/time.h"
#include "base/file.h"
#include "tests/contract/blob_store_contract.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace headstart::storage {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr absl::Duration kGrace = absl::Minutes(10);

class PackHarness final : public BlobStoreHarness {
 public:
  PackHarness()
      : store_(*PackStore::Open({.folder = folder_.path()}, clock_)) {}
  BlobStore& store() override { return *store_; }

 private:
  TempDir folder_;
  FakeClock clock_;
  std::unique_ptr<PackStore> store_;
};

std::unique_ptr<BlobStoreHarness> MakePack() {
  return std::make_unique<PackHarness>();
}

INSTANTIATE_TEST_SUITE_P(Pack, BlobStoreContract, testing::Values(&MakePack));

class PackStoreTest : public testing::Test {
 protected:
  PackStoreTest() { Reopen(); }

  void Reopen() {
    store_.reset();
    auto opened = PackStore::Open(options_, clock_);
    ASSERT_OK(opened);
    store_ = *std::move(opened);
  }

  std::string Path(int64_t pack) const {
    return PackPath(folder_ / "packs", pack);
  }
  int64_t Size(int64_t pack) const {
    return static_cast<int64_t>(std::filesystem::file_size(Path(pack)));
  }
  std::vector<int64_t> PackNumbers() const {
    std::vector<int64_t> numbers;
    for (const PackUsage& pack : store_->Packs()) numbers.push_back(pack.pack);
    return numbers;
  }
  BlobLocation LocationOf(const Digest& digest) const {
    std::map<Digest, BlobLocation> found;
    EXPECT_OK(store_->ForEachBlob(
        [&](const Digest& each, const BlobLocation& location) {
          found[each] = location;
        }));
    EXPECT_TRUE(found.contains(digest));
    return found[digest];
  }
  void Put(const Blob& blob) {
    ASSERT_OK(store_->Put(blob.digest, blob.bytes));
  }

  // Flips a bit of the file at `offset`.
  static void Damage(const std::string& path, int64_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(offset);
    const char byte = static_cast<char>(file.get() ^ 0x10);
    file.seekp(offset);
    file.put(byte);
  }

  absl::Duration Cutoff() const { return clock_.Monotonic() - kGrace; }

  TempDir folder_;
  FakeClock clock_;
  PackStoreOptions options_ = {.folder = folder_.path()};
  std::unique_ptr<PackStore> store_;
};

TEST_F(PackStoreTest, HasEverythingAfterARestart) {
  const std::vector<Blob> blobs = {BlobOf(NoiseOf(5000, 1)), BlobOf(""),
                                   BlobOf(std::string(9000, 'a'))};
  ASSERT_OK(store_->PutAll(blobs));
  const Blob later = BlobOf("later");

  Reopen();
  Put(later);
  Reopen();

  for (const Blob& blob : blobs) {
    EXPECT_THAT(store_->Get(blob.digest), IsOkAndHolds(blob.bytes));
  }
  EXPECT_THAT(store_->Get(later.digest), IsOkAndHolds(later.bytes));
  EXPECT_THAT(PackNumbers(), testing::ElementsAre(1));
}

TEST_F(PackStoreTest, BeginsAnotherPackWhenOneIsFull) {
  options_.pack_bytes_max = 10'000;
  Reopen();
  for (int i = 0; i < 5; ++i) Put(BlobOf(NoiseOf(4000, i)));
  // Larger than a pack: gets one of its own.
  Put(BlobOf(NoiseOf(50'000, 9)));

  EXPECT_THAT(PackNumbers(), testing::ElementsAre(1, 2, 3, 4));
  for (const PackUsage& pack : store_->Packs()) {
    EXPECT_EQ(pack.bytes, Size(pack.pack));
    EXPECT_EQ(pack.dead_bytes(), 0);
    EXPECT_EQ(pack.active, pack.pack == 4);
  }
}

TEST_F(PackStoreTest, WritesOneGroupForAllThatWait) {
  // The disk takes its time for the first group; meanwhile others queue up.
  Mutex mu;
  int sync_count = 0;
  bool first_may_end = false;
  options_.sync = [&](int) {
    MutexLock lock(&mu);
    ++sync_count;
    mu.Await([&] { return sync_count != 2 || first_may_end; });
    return 0;
  };
  Reopen();
  constexpr int kWaiting = 20;
  std::vector<std::thread> threads;
  const auto put_in_thread = [&](int i) {
    threads.emplace_back([this, i] { Put(BlobOf(NoiseOf(100, i))); });
  };
  put_in_thread(0);
  {
    MutexLock lock(&mu);  // Sync 1 was the new pack's, sync 2 is the blob's.
    mu.Await([&] { return sync_count == 2; });
  }
  for (int i = 1; i <= kWaiting; ++i) put_in_thread(i);
  while (store_->QueuedUploads() < 1 + kWaiting) std::this_thread::yield();
  {
    MutexLock lock(&mu);
    first_may_end = true;
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(sync_count, 3);  // One more for all of them.
  for (int i = 0; i <= kWaiting; ++i) {
    EXPECT_OK(store_->Get(Digest::Of(NoiseOf(100, i))));
  }
}

// A crash may leave any part of the last record behind. What was acknowledged
// before is there, and the store goes on.
TEST_F(PackStoreTest, CutsATornEndAtEveryOffset) {
  const Blob first = BlobOf(NoiseOf(300, 1));
  Put(first);
  const int64_t end = Size(1);
  store_.reset();
  const Record record =
      MakeRecord(Digest::Of(NoiseOf(200, 2)), absl::Cord(NoiseOf(200, 2)));
  const std::string torn = absl::StrCat(EncodeRecordHeader(record.header),
                                        std::string(record.stored));

  for (size_t size = 0; size < torn.size(); ++size) {
    ASSERT_OK_AND_ASSIGN(std::string pack, ReadFile(Path(1)));
    pack.resize(end);
    std::ofstream(Path(1), std::ios::binary) << pack << torn.substr(0, size);

    Reopen();

    ASSERT_EQ(Size(1), end) << size;
    ASSERT_THAT(store_->Get(first.digest), IsOkAndHolds(first.bytes));
    ASSERT_THAT(store_->FindMissing({record.header.digest}),
                IsOkAndHolds(testing::SizeIs(1)));
    store_.reset();
  }
  Reopen();
  const Blob next = BlobOf("next");
  Put(next);
  Reopen();
  EXPECT_THAT(store_->Get(next.digest), IsOkAndHolds(next.bytes));
  EXPECT_THAT(PackNumbers(), testing::ElementsAre(1));
}

TEST_F(PackStoreTest, FindsWholeRecordsThatACrashLeftUnindexed) {
  Put(BlobOf("indexed"));
  const int64_t end = Size(1);
  store_.reset();
  const std::string noise = NoiseOf(500, 3);
  const Record whole = MakeRecord(Digest::Of(noise), absl::Cord(noise));
  std::ofstream(Path(1), std::ios::binary | std::ios::app)
      << EncodeRecordHeader(whole.header) << whole.stored
      << EncodeRecordHeader(whole.header) << "torn";

  Reopen();

  EXPECT_EQ(Size(1), end + whole.bytes());
  EXPECT_THAT(store_->Get(whole.header.digest),
              IsOkAndHolds(absl::Cord(noise)));
  EXPECT_EQ(store_->Packs()[0].dead_bytes(), 0);
}

// Everything a process wrote and did not sync may be gone, in any pack.
TEST_F(PackStoreTest, LosesNothingAcknowledgedWhenUnsyncedBytesAreDropped) {
  std::map<std::string, int64_t> synced;
  options_.pack_bytes_max = 3000;
  options_.sync = [&](int file) {
    const std::string path =
        std::filesystem::read_symlink(absl::StrCat("/proc/self/fd/", file));
    synced[path] = static_cast<int64_t>(std::filesystem::file_size(path));
    return fdatasync(file);
  };
  Reopen();
  std::vector<Blob> acknowledged;
  for (int i = 0; i < 12; ++i) {
    acknowledged.push_back(BlobOf(NoiseOf(700 + i, i)));
    Put(acknowledged.back());
  }
  store_.reset();
  for (const auto& [path, size] : synced) {
    std::filesystem::resize_file(path, size);
  }

  Reopen();

  EXPECT_GT(PackNumbers().size(), 3u);
  for (const Blob& blob : acknowledged) {
    EXPECT_THAT(store_->Get(blob.digest), IsOkAndHolds(blob.bytes));
  }
}

TEST_F(PackStoreTest, RemovesAPackThatWasOnlyBegun) {
  Put(BlobOf("indexed"));
  store_.reset();
  std::ofstream(Path(2), std::ios::binary) << "HSPA";

  Reopen();

  EXPECT_FALSE(std::filesystem::exists(Path(2)));
  Put(BlobOf("next"));
  EXPECT_OK(store_->Get(Digest::Of("next")));
}

TEST_F(PackStoreTest, ForgetsAPackWhoseDeletionACrashCutShort) {
  options_.pack_bytes_max = 1000;
  Reopen();
  Put(BlobOf(NoiseOf(900, 1)));
  Put(BlobOf(NoiseOf(900, 2)));
  clock_.Advance(kGrace * 2);
  ASSERT_OK(store_->Remove({Digest::Of(NoiseOf(900, 1))}, Cutoff()));
  store_.reset();
  std::filesystem::remove(Path(1));

  Reopen();

  EXPECT_THAT(PackNumbers(), testing::ElementsAre(2));
}

TEST_F(PackStoreTest, NeverServesADamagedBlob) {
  const Blob blob = BlobOf(NoiseOf(600, 1));
  const Blob other = BlobOf(NoiseOf(600, 2));
  Put(blob);
  Put(other);
  const BlobLocation location = LocationOf(blob.digest);
  // Every byte of its record, the header's too.
  for (int64_t at = 0; at < kRecordHeaderBytes + location.stored_size; ++at) {
    const int64_t offset = LocationOf(blob.digest).offset + at;
    const int64_t pack = LocationOf(blob.digest).pack;
    Damage(Path(pack), offset);

    ASSERT_THAT(store_->Get(blob.digest),
                StatusIs(absl::StatusCode::kDataLoss, "quarantine"))
        << at;
    ASSERT_THAT(store_->Get(blob.digest),
                StatusIs(absl::StatusCode::kDataLoss));
    ASSERT_THAT(store_->FindMissing({blob.digest}),
                IsOkAndHolds(testing::ElementsAre(blob.digest)));

    // Stored anew, it is well again.
    Put(blob);
    ASSERT_THAT(store_->Get(blob.digest), IsOkAndHolds(blob.bytes));
  }
  EXPECT_THAT(store_->Get(other.digest), IsOkAndHolds(other.bytes));
}

TEST_F(PackStoreTest, RemembersQuarantineAfterARestart) {
  const Blob blob = BlobOf(NoiseOf(600, 1));
  Put(blob);
  Damage(Path(1), LocationOf(blob.digest).offset + kRecordHeaderBytes);
  ASSERT_THAT(store_->Get(blob.digest), StatusIs(absl::StatusCode::kDataLoss));

  Reopen();

  EXPECT_THAT(store_->Get(blob.digest),
              StatusIs(absl::StatusCode::kDataLoss, "checksum"));
}

TEST_F(PackStoreTest, KeepsABlobThatCannotBeReadJustNow) {
  const Blob blob = BlobOf(NoiseOf(600, 1));
  Put(blob);
  std::filesystem::rename(Path(1), folder_ / "aside");
  std::filesystem::create_directory(Path(1));  // Reads fail with EISDIR.

  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(store_->Get(blob.digest),
                StatusIs(absl::StatusCode::kInternal, "Is a directory"));
  }
  EXPECT_THAT(store_->Rewrite(1), StatusIs(absl::StatusCode::kInternal));

  EXPECT_EQ(store_->QuarantinedCount(), 0);
  EXPECT_THAT(store_->FindMissing({blob.digest}),
              IsOkAndHolds(testing::IsEmpty()));
  std::filesystem::remove(Path(1));
  std::filesystem::rename(folder_ / "aside", Path(1));
  EXPECT_THAT(store_->Get(blob.digest), IsOkAndHolds(blob.bytes));
}

// A disk that was not mounted, say.
TEST_F(PackStoreTest, TakesAPackBackThatWasGone) {
  const std::vector<std::function<void()>> ways = {
      [&] { Reopen(); }, [&] { store_->Readmit(); },
      [&] { ASSERT_OK(store_->Rewrite(store_->Packs()[0].pack)); }};
  const Blob blob = BlobOf(NoiseOf(600, 1));
  const Blob damaged = BlobOf(NoiseOf(600, 2));
  Put(blob);
  int64_t quarantined = 0;
  for (const auto& way : ways) {
    Put(damaged);
    const BlobLocation location = LocationOf(damaged.digest);
    Damage(Path(location.pack), location.offset + kRecordHeaderBytes);
    const std::string path = Path(LocationOf(blob.digest).pack);
    std::filesystem::rename(path, folder_ / "aside");
    for (const Digest& digest : {blob.digest, damaged.digest}) {
      ASSERT_THAT(store_->Get(digest), StatusIs(absl::StatusCode::kDataLoss));
    }
    ASSERT_THAT(store_->FindMissing({blob.digest}),
                IsOkAndHolds(testing::SizeIs(1)));
    quarantined = store_->QuarantinedCount();
    std::filesystem::rename(folder_ / "aside", path);

    way();

    EXPECT_THAT(store_->Get(blob.digest), IsOkAndHolds(blob.bytes));
    EXPECT_THAT(store_->Get(damaged.digest),
                StatusIs(absl::StatusCode::kDataLoss));
  }
  EXPECT_EQ(quarantined, 4);  // Since it was opened again.
  int64_t live_bytes = 0;
  for (const PackUsage& pack : store_->Packs()) live_bytes += pack.live_bytes;
  EXPECT_EQ(live_bytes, 600 + kRecordHeaderBytes);
}

TEST_F(PackStoreTest, RemembersTouchesOnlyOfWhatIsStoredAndOnlyAWhile) {
  const Blob blob = BlobOf("stored");
  Put(blob);
  std::vector<Digest> digests = {blob.digest};
  for (int i = 0; i < 100; ++i) {
    digests.push_back(Digest::Of(absl::StrCat("unknown ", i)));
  }

  EXPECT_THAT(store_->FindMissing(digests), IsOkAndHolds(testing::SizeIs(100)));
  EXPECT_EQ(store_->TouchedCount(), 1);

  clock_.Advance(kGrace * 2);
  EXPECT_THAT(store_->Remove({}, Cutoff()), IsOkAndHolds(0));
  EXPECT_EQ(store_->TouchedCount(), 0);
}

TEST_F(PackStoreTest, ReportsAPackThatIsGoneOrShorter) {
  options_.pack_bytes_max = 1000;
  Reopen();
  const Blob gone = BlobOf(NoiseOf(900, 1));
  const Blob cut = BlobOf(NoiseOf(900, 2));
  Put(gone);
  Put(cut);
  store_.reset();
  std::filesystem::remove(Path(1));
  std::filesystem::resize_file(Path(2), Size(2) - 1);

  Reopen();

  EXPECT_THAT(store_->Get(gone.digest), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(store_->Get(cut.digest), StatusIs(absl::StatusCode::kDataLoss));
  // New blobs go into a new pack, not behind the damage.
  const Blob next = BlobOf("next");
  Put(next);
  EXPECT_THAT(store_->Get(next.digest), IsOkAndHolds(next.bytes));
  EXPECT_EQ(LocationOf(next.digest).pack, 3);
}

TEST_F(PackStoreTest, RefusesToStoreBelowTheFloor) {
  Put(BlobOf("before"));
  const int64_t size = Size(1);
  ASSERT_OK_AND_ASSIGN(const int64_t free_bytes, FreeBytes(folder_.path()));
  options_.free_bytes_floor = free_bytes + 100 * kMiB;
  Reopen();

  const Blob blob = BlobOf("after");
  EXPECT_THAT(store_->Put(blob.digest, blob.bytes),
              StatusIs(absl::StatusCode::kResourceExhausted, folder_.path()));

  EXPECT_EQ(Size(1), size);
  EXPECT_OK(store_->Get(Digest::Of("before")));
  EXPECT_THAT(store_->FindMissing({blob.digest}),
              IsOkAndHolds(testing::SizeIs(1)));
  options_.free_bytes_floor = 0;
  Reopen();
  EXPECT_OK(store_->Put(blob.digest, blob.bytes));
}

TEST_F(PackStoreTest, StopsTheProcessWhenTheDiskDoesNotTakeASync) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // RocksDB has threads.
  EXPECT_EXIT(
      {
        options_.sync = [](int) {
          errno = EIO;
          return -1;
        };
        Reopen();
        Put(BlobOf("lost"));
      },
      testing::ExitedWithCode(70), "fdatasync");
}

TEST_F(PackStoreTest, RemovesOnlyWhatNobodyWantedForTheGracePeriod) {
  const std::vector<Blob> blobs = {BlobOf("old"), BlobOf("asked for"),
                                   BlobOf("put again"), BlobOf("touched")};
  ASSERT_OK(store_->PutAll(blobs));
  std::vector<Digest> all;
  for (const Blob& blob : blobs) all.push_back(blob.digest);

  // Within the grace period: nothing.
  clock_.Advance(kGrace / 2);
  EXPECT_THAT(store_->Remove(all, Cutoff()), IsOkAndHolds(0));
  EXPECT_THAT(store_->FindMissing({all[1]}), IsOkAndHolds(testing::IsEmpty()));
  Put(blobs[2]);
  ASSERT_OK(store_->Touch({all[3]}));

  clock_.Advance(kGrace / 2 + absl::Seconds(1));
  EXPECT_THAT(store_->Remove(all, Cutoff()),
              IsOkAndHolds(kRecordHeaderBytes + 3));

  EXPECT_THAT(store_->FindMissing(all),
              IsOkAndHolds(testing::ElementsAre(all[0])));
  EXPECT_THAT(store_->Get(all[0]), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PackStoreTest, GivesEverythingAGracePeriodAfterARestart) {
  const Blob blob = BlobOf("old");
  Put(blob);
  clock_.Advance(kGrace * 2);
  Reopen();

  EXPECT_THAT(store_->Remove({blob.digest}, Cutoff()), IsOkAndHolds(0));
  clock_.Advance(kGrace * 2);
  EXPECT_THAT(store_->Remove({blob.digest}, Cutoff()),
              IsOkAndHolds(testing::Gt(0)));
}

TEST_F(PackStoreTest, RewritesAPackWithoutItsDeadRecords) {
  options_.pack_bytes_max = 10'000;
  Reopen();
  std::vector<Blob> blobs;
  for (int i = 0; i < 9; ++i) {
    blobs.push_back(BlobOf(NoiseOf(3000, i)));
    Put(blobs.back());
  }
  ASSERT_THAT(PackNumbers(), testing::ElementsAre(1, 2, 3));
  clock_.Advance(kGrace * 2);
  ASSERT_OK(store_->Remove({blobs[0].digest, blobs[2].digest}, Cutoff()));
  ASSERT_EQ(store_->Packs()[0].dead_bytes(), 2 * (3000 + kRecordHeaderBytes));

  EXPECT_THAT(store_->Rewrite(1),
              IsOkAndHolds(kPackHeaderBytes + 2 * (3000 + kRecordHeaderBytes)));

  EXPECT_FALSE(std::filesystem::exists(Path(1)));
  for (const bool reopened : {false, true}) {
    if (reopened) Reopen();
    EXPECT_THAT(PackNumbers(), testing::ElementsAre(2, 3, 4));
    for (int i = 0; i < 9; ++i) {
      if (i == 0 || i == 2) continue;
      EXPECT_THAT(store_->Get(blobs[i].digest), IsOkAndHolds(blobs[i].bytes));
    }
    for (const PackUsage& pack : store_->Packs()) {
      EXPECT_EQ(pack.dead_bytes(), 0);
    }
  }
}

TEST_F(PackStoreTest, RewritesTheActivePackToo) {
  const Blob live = BlobOf(NoiseOf(1000, 1));
  const Blob dead = BlobOf(NoiseOf(1000, 2));
  Put(dead);
  Put(live);
  clock_.Advance(kGrace * 2);
  ASSERT_OK(store_->Remove({dead.digest}, Cutoff()));

  ASSERT_OK(store_->Rewrite(1));

  EXPECT_THAT(PackNumbers(), testing::ElementsAre(2));
  EXPECT_THAT(store_->Get(live.digest), IsOkAndHolds(live.bytes));
  Put(dead);
  EXPECT_THAT(store_->Get(dead.digest), IsOkAndHolds(dead.bytes));
}

TEST_F(PackStoreTest, QuarantinesDamageThatARewriteFinds) {
  const Blob good = BlobOf(NoiseOf(1000, 1));
  const Blob bad = BlobOf(NoiseOf(1000, 2));
  Put(good);
  Put(bad);
  Damage(Path(1), LocationOf(bad.digest).offset + kRecordHeaderBytes + 5);

  ASSERT_OK(store_->Rewrite(1));

  EXPECT_THAT(store_->Get(good.digest), IsOkAndHolds(good.bytes));
  EXPECT_THAT(store_->Get(bad.digest), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(PackStoreTest, ReadsWhileItRewrites) {
  options_.pack_bytes_max = 100'000;
  Reopen();
  std::vector<Blob> blobs;
  for (int i = 0; i < 100; ++i) blobs.push_back(BlobOf(NoiseOf(4000, i)));
  for (const Blob& blob : blobs) Put(blob);
  std::atomic<bool> done = false;
  absl::Status worst;
  std::thread reader([&] {
    for (size_t i = 0; !done || i < blobs.size(); ++i) {
      worst.Update(store_->Get(blobs[i % blobs.size()].digest).status());
    }
  });
  for (int round = 0; round < 3; ++round) {
    for (const PackUsage& pack : store_->Packs()) {
      ASSERT_OK(store_->Rewrite(pack.pack));
    }
  }
  done = true;
  reader.join();

  EXPECT_OK(worst);
}

TEST_F(PackStoreTest, LeavesForeignFilesAlone) {
  store_.reset();
  std::ofstream(folder_ / "packs/notes.txt") << "mine";
  std::ofstream(folder_ / "packs/x.pack") << "mine";

  Reopen();

  EXPECT_TRUE(std::filesystem::exists(folder_ / "packs/notes.txt"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "packs/x.pack"));
}

}  // namespace
}  // namespace headstart::storage
