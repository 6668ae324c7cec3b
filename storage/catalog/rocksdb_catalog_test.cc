#include "storage/catalog/rocksdb_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "base/file.h"
#include "storage/catalog/catalog_fixture_for_tests.h"
#include "storage/catalog/rocksdb_catalog_keys.h"
#include "tests/support/hex_dump.h"
#include "tests/support/process.h"

namespace headstart::storage {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A disk of which one read goes wrong.
class BadReads : public rocksdb::EnvWrapper {
 public:
  enum Kind { kFail, kDamage };
  explicit BadReads(Kind kind)
      : rocksdb::EnvWrapper(rocksdb::Env::Default()), kind_(kind) {}

  // The read after `count` others.
  void After(int count) { left_ = count; }
  bool came() const { return left_ < 0; }

  rocksdb::Status NewRandomAccessFile(
      const std::string& path, std::unique_ptr<rocksdb::RandomAccessFile>* file,
      const rocksdb::EnvOptions& options) override {
    const rocksdb::Status status =
        EnvWrapper::NewRandomAccessFile(path, file, options);
    if (status.ok()) *file = std::make_unique<File>(std::move(*file), *this);
    return status;
  }

 private:
  struct File : rocksdb::RandomAccessFile {
    File(std::unique_ptr<rocksdb::RandomAccessFile> under, BadReads& env)
        : under(std::move(under)), env(env) {}
    rocksdb::Status Read(uint64_t offset, size_t n, rocksdb::Slice* result,
                         char* scratch) const override {
      const rocksdb::Status status = under->Read(offset, n, result, scratch);
      if (env.left_-- != 0) return status;
      if (env.kind_ == kFail) return rocksdb::Status::IOError("loose cable");
      std::fill(scratch, scratch + result->size(), '!');
      *result = rocksdb::Slice(scratch, result->size());
      return status;
    }
    const std::unique_ptr<rocksdb::RandomAccessFile> under;
    BadReads& env;
  };
  const Kind kind_;
  std::atomic<int> left_ = 0;
};

class RocksdbCatalogTest : public CatalogFixture {
 protected:
  // Changes the catalog's records behind its back.
  void Edit(const std::function<void(rocksdb::DB&)>& edit) {
    catalog_.reset();
    ASSERT_OK_AND_ASSIGN(const auto db, OpenRocksdb(folder_ / "catalog"));
    edit(*db);
  }
};

TEST_F(RocksdbCatalogTest, ShowsWhatWasCommitted) {
  const TestEpoch epoch = MakeEpoch(kRun, 3, 7, /*attempt=*/2);

  ASSERT_OK_AND_ASSIGN(const Digest digest, Commit(epoch));

  EXPECT_EQ(digest, ManifestDigest(epoch.request.manifest()));
  for (const bool reopened : {false, true}) {
    if (reopened) Reopen();
    ASSERT_OK_AND_ASSIGN(const v1::Checkpoint checkpoint,
                         catalog_->Get(Name(3)));
    EXPECT_EQ(checkpoint.name(), Name(3));
    EXPECT_EQ(checkpoint.run(), kRun);
    EXPECT_EQ(checkpoint.epoch(), 3);
    EXPECT_EQ(checkpoint.manifest_digest(), digest.bytes());
    EXPECT_EQ(checkpoint.tensor_count(), 3);
    EXPECT_EQ(checkpoint.tensor_bytes(), 8192 + 40 + 8);
    EXPECT_EQ(checkpoint.resume_bytes(), 8192 + 8);
    EXPECT_EQ(checkpoint.attempt(), 2);
    EXPECT_EQ(checkpoint.measurement().validation_accuracy(), 0.5);
    EXPECT_EQ(checkpoint.commit_time().seconds(),
              absl::ToUnixSeconds(clock_.Now()));
    EXPECT_EQ(CanonicalBytes(checkpoint.manifest()),
              CanonicalBytes(epoch.request.manifest()));
    EXPECT_THAT(ReasonsOf(Name(3)), ElementsAre("studies/1 RUNNING"));

    ASSERT_OK_AND_ASSIGN(const auto manifests, catalog_->GetManifests(Name(3)));
    EXPECT_EQ(manifests.manifest_digest(), digest.bytes());
    EXPECT_EQ(ManifestDigest(manifests.resume_manifest()),
              ManifestDigest(epoch.request.resume_manifest()));
    EXPECT_OK(catalog_->Get(Name(3) + "/resume"));
  }
}

TEST_F(RocksdbCatalogTest, WritesWhatIsDocumented) {
  v1::Manifest manifest;
  manifest.set_format_version(kManifestFormatVersion);
  manifest.set_run("studies/1/trials/1");
  AddTensor(manifest, "fc.bias", v1::Tensor::PARAMETER,
            std::string("\x00\x00\x80\x3f\x00\x00\x80\xbf", 8));
  manifest.set_model("linear");
  ASSERT_OK(CheckManifest(manifest));
  const CheckpointName name{RunName::Trial(1, 300), 2};

  ASSERT_OK_AND_ASSIGN(const std::string document,
                       ReadFile(SourceFolder() + "/docs/manifest_format.md"));

  EXPECT_THAT(document, HasSubstr(HexDump(CanonicalBytes(manifest))));
  EXPECT_THAT(document, HasSubstr(ManifestDigest(manifest).ToString()));
  EXPECT_THAT(
      document,
      HasSubstr(HexDump(CatalogKey(kCheckpointKey, CheckpointKey(name)))));
}

TEST_F(RocksdbCatalogTest, RefusesACommitWithMissingBlobs) {
  TestEpoch epoch = MakeEpoch(kRun, 1, 1);
  const Blob missing = epoch.blobs[1];
  epoch.blobs.pop_back();

  EXPECT_THAT(Commit(epoch), StatusIs(StatusCode::kFailedPrecondition,
                                      missing.digest.ToString()));

  EXPECT_THAT(List(), IsEmpty());
  EXPECT_FALSE(catalog_->IsNeeded(epoch.blobs[0].digest));
  epoch.blobs.push_back(missing);
  EXPECT_OK(Commit(epoch));
  EXPECT_TRUE(catalog_->IsNeeded(epoch.blobs[0].digest));
}

TEST_F(RocksdbCatalogTest, StartsWithAllItNeedsOrNotAtAllWhenAReadFails) {
  const TestEpoch epoch = MakeEpoch(kRun, 0, 0);
  ASSERT_OK(Commit(epoch));
  Reopen();  // From its log into a table.
  catalog_.reset();
  int refused = 0;
  for (int count = 0;; ++count) {
    BadReads env(BadReads::kFail);
    env.After(count);
    const auto opened = RocksdbCatalog::Open(
        {.folder = folder_ / "catalog", .env = &env}, blobs_, clock_);
    if (!env.came()) break;
    if (!opened.ok()) {
      EXPECT_THAT(opened, StatusIs(StatusCode::kInternal, "cable"));
      ++refused;
      continue;
    }
    for (const Blob& blob : epoch.blobs) {
      EXPECT_TRUE((*opened)->IsNeeded(blob.digest)) << count;
    }
  }
  EXPECT_GT(refused, 0);
}

TEST_F(RocksdbCatalogTest, PassesOverADamagedManifestThatIsWellAgainLater) {
  const TestEpoch epoch = MakeEpoch(kRun, 0, 0);
  ASSERT_OK(Commit(epoch));
  Reopen();  // From its log into a table.
  BadReads env(BadReads::kDamage);
  env_ = &env;
  const auto all_needed = [&] {
    return catalog_->IsNeeded(epoch.blobs[0].digest) &&
           catalog_->IsNeeded(epoch.blobs[1].digest);
  };
  int count = 0;
  do {
    catalog_.reset();
    env.After(count++);
    auto opened = RocksdbCatalog::Open(
        {.folder = folder_ / "catalog", .env = &env}, blobs_, clock_);
    ASSERT_TRUE(env.came()) << "no read was of a manifest alone";
    if (opened.ok()) catalog_ = *std::move(opened);
  } while (catalog_ == nullptr || all_needed());

  EXPECT_OK(catalog_->GetManifests(Name(0)));
  Acknowledge(0, {}, /*ended=*/true);
  clock_.Advance(kGrace);
  EXPECT_EQ(Forget(), 1);
  EXPECT_FALSE(catalog_->IsNeeded(epoch.blobs[0].digest));
  EXPECT_FALSE(catalog_->IsNeeded(epoch.blobs[1].digest));
  catalog_.reset();
}

TEST_F(RocksdbCatalogTest, RefusesARecordWithoutADigest) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  const std::string key =
      CatalogKey(kCheckpointKey, CheckpointKey({RunName::Trial(1, 1), 0}));
  Edit([&](rocksdb::DB& db) { ASSERT_TRUE(db.Put({}, key, "").ok()); });

  EXPECT_THAT(
      RocksdbCatalog::Open({.folder = folder_ / "catalog"}, blobs_, clock_),
      StatusIs(StatusCode::kDataLoss, Name(0)));
}

TEST_F(RocksdbCatalogTest, RefusesATensorWhoseBlobHasAnotherSize) {
  TestEpoch epoch = MakeEpoch(kRun, 1, 1);
  epoch.request.mutable_manifest()->mutable_tensors(0)->set_shape(0, 4096);

  EXPECT_THAT(Commit(epoch),
              StatusIs(StatusCode::kInvalidArgument, "has 8192 bytes"));
}

TEST_F(RocksdbCatalogTest, RefusesToGrowOnAFullDiskButStillLetsGo) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  room_ = absl::ResourceExhaustedError("the disk is full");

  EXPECT_THAT(Commit(MakeEpoch(kRun, 1, 1)),
              StatusIs(StatusCode::kResourceExhausted, Name(1)));
  v1::PinCheckpointRequest pin;
  pin.set_name(Name(0));
  pin.set_reason("best");
  pin.set_request_id("a");
  EXPECT_THAT(catalog_->Pin(pin), StatusIs(StatusCode::kResourceExhausted));

  Acknowledge(0);
  clock_.Advance(kGrace);
  EXPECT_EQ(Forget(), 1);
}

// What a second commit of an epoch does. The first was by attempt 2, token 2.
struct SecondCommit {
  std::string what;
  int64_t attempt;  // The token too.
  bool other_weights;
  bool known;  // The scheduler knows the epoch.
  bool pinned;
  StatusCode code;
  bool replaces;
};

class SecondCommitTest : public RocksdbCatalogTest,
                         public testing::WithParamInterface<SecondCommit> {};

TEST_P(SecondCommitTest, FollowsTheRules) {
  const SecondCommit& param = GetParam();
  ASSERT_OK_AND_ASSIGN(const Digest first, Commit(MakeEpoch(kRun, 1, 1, 2)));
  if (param.known) Acknowledge(1, {{Name(1), v1::RUNNING}});
  if (param.pinned) {
    v1::PinCheckpointRequest pin;
    pin.set_name(Name(1));
    pin.set_reason("mine");
    pin.set_request_id("a");
    ASSERT_OK(catalog_->Pin(pin));
  }

  const TestEpoch second =
      MakeEpoch(kRun, 1, param.other_weights ? 2 : 1, param.attempt);
  const auto committed = Commit(second);

  EXPECT_THAT(committed, StatusIs(param.code));
  for (const bool reopened : {false, true}) {
    if (reopened) Reopen();
    ASSERT_OK_AND_ASSIGN(const v1::Checkpoint checkpoint,
                         catalog_->Get(Name(1)));
    const Digest expected =
        param.replaces ? ManifestDigest(second.request.manifest()) : first;
    EXPECT_EQ(checkpoint.manifest_digest(), expected.bytes());
    EXPECT_EQ(checkpoint.attempt(), param.replaces ? param.attempt : 2);
    for (const Blob& blob : second.blobs) {
      EXPECT_EQ(catalog_->IsNeeded(blob.digest),
                param.replaces || !param.other_weights);
    }
  }
  if (param.code == StatusCode::kAlreadyExists) {
    EXPECT_THAT(committed.status().message(), HasSubstr(first.ToString()));
    EXPECT_THAT(
        committed.status().message(),
        HasSubstr(ManifestDigest(second.request.manifest()).ToString()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rules, SecondCommitTest,
    testing::Values(SecondCommit{"SameAgain", 2, false, false, false,
                                 StatusCode::kOk, false},
                    SecondCommit{"SameOfANewerAttempt", 3, false, true, false,
                                 StatusCode::kOk, false},
                    SecondCommit{"SameOfAnOlderAttempt", 1, false, false, false,
                                 StatusCode::kAborted, false},
                    SecondCommit{"OtherOfTheSameAttempt", 2, true, false, false,
                                 StatusCode::kAlreadyExists, false},
                    SecondCommit{"OtherOfANewerAttempt", 3, true, false, false,
                                 StatusCode::kOk, true},
                    SecondCommit{"OtherOfANewerAttemptButKnown", 3, true, true,
                                 false, StatusCode::kAlreadyExists, false},
                    SecondCommit{"OtherOfANewerAttemptButPinned", 3, true,
                                 false, true, StatusCode::kAlreadyExists,
                                 false},
                    SecondCommit{"OtherOfAnOlderAttempt", 1, true, false, false,
                                 StatusCode::kAborted, false}),
    [](const auto& info) { return info.param.what; });

TEST_F(RocksdbCatalogTest, LearnsTokensFromCommitsAndHorizons) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0, /*attempt=*/2)));
  EXPECT_THAT(Commit(MakeEpoch(kRun, 1, 1, /*attempt=*/1)),
              StatusIs(StatusCode::kAborted, "token 2"));

  v1::SetReferencesRequest references = MakeReferences("studies/1", 1);
  AddHorizon(references, kRun, 0, /*token=*/5);
  ASSERT_OK(Set(references));
  Reopen();
  EXPECT_THAT(Commit(MakeEpoch(kRun, 1, 1, /*attempt=*/4)),
              StatusIs(StatusCode::kAborted, "token 5"));
  EXPECT_OK(Commit(MakeEpoch(kRun, 1, 1, /*attempt=*/5)));

  // The same weights of a newer attempt fence off the older one, too.
  ASSERT_OK(Commit(MakeEpoch(kRun, 1, 1, /*attempt=*/6)));
  EXPECT_THAT(Commit(MakeEpoch(kRun, 2, 2, /*attempt=*/5)),
              StatusIs(StatusCode::kAborted, "token 6"));
}

TEST_F(RocksdbCatalogTest, SaysWhichEpochsThereAre) {
  EXPECT_THAT(catalog_->Get(Name(4)),
              StatusIs(StatusCode::kNotFound, "no checkpoints"));
  for (const int64_t epoch : {0, 1, 2, 5, 7, 8}) {
    ASSERT_OK(Commit(MakeEpoch(kRun, epoch, epoch)));
  }

  EXPECT_THAT(catalog_->Get(Name(4)),
              StatusIs(StatusCode::kNotFound,
                       "of epoch 4; there are 0 to 2, 5, 7 to 8"));
}

TEST_F(RocksdbCatalogTest, ListsByRunThenEpochAPageAtATime) {
  const std::vector<std::string> runs = {
      "studies/1/trials/2", "studies/1/trials/10", "studies/2/trials/1",
      "trainings/1/runs/1"};
  std::vector<std::string> all;
  uint64_t seed = 0;
  for (const std::string& run : runs) {
    for (const int64_t epoch : {0, 9, 10}) {
      all.push_back(absl::StrCat(run, "/epochs/", epoch));
      ASSERT_OK(Commit(MakeEpoch(run, epoch, ++seed)));
    }
  }

  EXPECT_EQ(List(), all);
  EXPECT_EQ(List("studies/1"),
            std::vector<std::string>(all.begin(), all.begin() + 6));
  EXPECT_EQ(List("studies/1/trials/10"),
            std::vector<std::string>(all.begin() + 3, all.begin() + 6));
  EXPECT_EQ(List("trainings/1"),
            std::vector<std::string>(all.begin() + 9, all.end()));
  EXPECT_THAT(List("studies/3"), IsEmpty());

  for (int64_t page_size = 1; page_size <= 13; ++page_size) {
    std::vector<std::string> paged;
    v1::ListCheckpointsRequest request;
    request.set_page_size(page_size);
    int pages = 0;
    do {
      ASSERT_OK_AND_ASSIGN(const auto response, catalog_->List(request));
      for (const auto& checkpoint : response.checkpoints()) {
        paged.push_back(checkpoint.name());
        EXPECT_FALSE(checkpoint.has_manifest());
      }
      request.set_page_token(response.next_page_token());
      ++pages;
    } while (!request.page_token().empty());
    EXPECT_EQ(paged, all);
    EXPECT_EQ(pages, (12 + page_size - 1) / page_size);
  }
}

TEST_F(RocksdbCatalogTest, RefusesListsThatCannotBe) {
  v1::ListCheckpointsRequest request;
  request.set_parent("workers/1");
  EXPECT_THAT(catalog_->List(request),
              StatusIs(StatusCode::kInvalidArgument, "parent"));
  request.clear_parent();
  request.set_page_size(1001);
  EXPECT_THAT(catalog_->List(request),
              StatusIs(StatusCode::kInvalidArgument, "page_size"));
  request.clear_page_size();
  request.set_page_token("x");
  EXPECT_THAT(catalog_->List(request),
              StatusIs(StatusCode::kInvalidArgument, "page_token"));
}

}  // namespace
}  // namespace headstart::storage
