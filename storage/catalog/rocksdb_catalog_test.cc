#include "storage/catalog/rocksdb_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/blob/memory_blob_store.h"
#include "storage/catalog/manifests_for_tests.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::storage {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr char kRun[] = "studies/1/trials/1";
constexpr absl::Duration kGrace = absl::Minutes(10);

class RocksdbCatalogTest : public testing::Test {
 protected:
  RocksdbCatalogTest() { Reopen(); }

  void Reopen(bool adopt_cluster = false) {
    catalog_.reset();
    auto opened = RocksdbCatalog::Open(
        {.folder = folder_ / "catalog",
         .check_room = [this](int64_t) { return room_; },
         .adopt_cluster = adopt_cluster},
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
  int64_t generation_ = 0;
  std::unique_ptr<RocksdbCatalog> catalog_;
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

    ASSERT_OK_AND_ASSIGN(const auto manifests,
                         catalog_->GetManifests(Name(3)));
    EXPECT_EQ(manifests.manifest_digest(), digest.bytes());
    EXPECT_EQ(ManifestDigest(manifests.resume_manifest()),
              ManifestDigest(epoch.request.resume_manifest()));
    EXPECT_OK(catalog_->Get(Name(3) + "/resume"));
  }
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
  EXPECT_THAT(catalog_->Pin(pin), StatusIs(StatusCode::kResourceExhausted));

  Acknowledge(0);
  clock_.Advance(kGrace);
  EXPECT_EQ(Forget(), 1);
}

// What a second commit of an epoch does. The first was by attempt 2, token 2.
struct SecondCommit {
  std::string what;
  int64_t attempt;        // The token too.
  bool other_weights;
  bool known;             // The scheduler knows the epoch.
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
    EXPECT_THAT(committed.status().message(),
                HasSubstr(ManifestDigest(second.request.manifest()).ToString()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rules, SecondCommitTest,
    testing::Values(
        SecondCommit{"SameAgain", 2, false, false, false, StatusCode::kOk,
                     false},
        SecondCommit{"SameOfANewerAttempt", 3, false, true, false,
                     StatusCode::kOk, false},
        SecondCommit{"SameOfAnOlderAttempt", 1, false, false, false,
                     StatusCode::kAborted, false},
        SecondCommit{"OtherOfTheSameAttempt", 2, true, false, false,
                     StatusCode::kAlreadyExists, false},
        SecondCommit{"OtherOfANewerAttempt", 3, true, false, false,
                     StatusCode::kOk, true},
        SecondCommit{"OtherOfANewerAttemptButKnown", 3, true, true, false,
                     StatusCode::kAlreadyExists, false},
        SecondCommit{"OtherOfANewerAttemptButPinned", 3, true, false, true,
                     StatusCode::kAlreadyExists, false},
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

TEST_F(RocksdbCatalogTest, KeepsWhatTheSchedulerHasNotHeardOf) {
  for (int64_t epoch = 0; epoch <= 3; ++epoch) {
    ASSERT_OK(Commit(MakeEpoch(kRun, epoch, epoch)));
  }
  clock_.Advance(kGrace * 2);
  EXPECT_EQ(Forget(), 0);  // A run that no scheduler has named.

  Acknowledge(1, {{Name(0), v1::RUNNING}});
  clock_.Advance(kGrace);
  EXPECT_EQ(Forget(), 1);

  EXPECT_THAT(List(), ElementsAre(Name(0), Name(2), Name(3)));
}

TEST_F(RocksdbCatalogTest, ForgetsAllThatAnEndedRunDoesNotKeep) {
  for (int64_t epoch = 0; epoch <= 3; ++epoch) {
    ASSERT_OK(Commit(MakeEpoch(kRun, epoch, epoch)));
  }
  Acknowledge(1, {{Name(1), v1::BEST_TRIAL}}, /*ended=*/true);
  clock_.Advance(kGrace - absl::Seconds(1));
  EXPECT_EQ(Forget(), 0);

  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Forget(), 3);

  EXPECT_THAT(List(), ElementsAre(Name(1)));
  for (const bool reopened : {false, true}) {
    if (reopened) Reopen();
    EXPECT_FALSE(catalog_->IsNeeded(MakeEpoch(kRun, 0, 0).blobs[0].digest));
    EXPECT_TRUE(catalog_->IsNeeded(MakeEpoch(kRun, 1, 1).blobs[0].digest));
  }
}

TEST_F(RocksdbCatalogTest, GraceBeginsWhenTheLastReasonGoes) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  Acknowledge(0);
  clock_.Advance(kGrace - absl::Seconds(1));
  Acknowledge(0, {{Name(0), v1::RUNNING}});  // Wanted again.
  clock_.Advance(kGrace);
  Acknowledge(0);
  clock_.Advance(kGrace - absl::Seconds(1));

  EXPECT_EQ(Forget(), 0);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Forget(), 1);
}

TEST_F(RocksdbCatalogTest, LetsAResumeManifestGoWhileTheWeightsStay) {
  const TestEpoch epoch = MakeEpoch(kRun, 0, 0);
  ASSERT_OK(Commit(epoch));
  Acknowledge(0, {{Name(0), v1::BEST_TRIAL}});
  clock_.Advance(kGrace);

  EXPECT_EQ(Forget(), 0);  // No checkpoint went.

  for (const bool reopened : {false, true}) {
    if (reopened) Reopen();
    EXPECT_TRUE(catalog_->IsNeeded(epoch.blobs[0].digest));
    EXPECT_FALSE(catalog_->IsNeeded(epoch.blobs[1].digest));
    EXPECT_THAT(catalog_->Get(Name(0) + "/resume"),
                StatusIs(StatusCode::kNotFound, "no state to resume from"));
    EXPECT_FALSE(catalog_->GetManifests(Name(0))->has_resume_manifest());
    EXPECT_EQ(catalog_->Get(Name(0))->resume_bytes(), 0);
  }
  // Its agent may not have heard of the first commit.
  EXPECT_OK(Commit(epoch));
}

TEST_F(RocksdbCatalogTest, KeepsTheWeightsOfAResumeManifest) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  Acknowledge(0, {{Name(0) + "/resume", v1::RESUME}});
  clock_.Advance(kGrace);

  EXPECT_EQ(Forget(), 0);

  EXPECT_OK(catalog_->Get(Name(0)));
  EXPECT_OK(catalog_->Get(Name(0) + "/resume"));
}

TEST_F(RocksdbCatalogTest, CountsEveryOwner) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  Acknowledge(0, {{Name(0), v1::BEST_TRIAL}, {Name(0), v1::PROMOTABLE}});
  v1::SetReferencesRequest training =
      MakeReferences("trainings/2", 9, {{Name(0), v1::SOURCE_OF}});
  training.set_scheduler_sequence(1);
  ASSERT_OK(Set(training));

  for (const bool reopened : {false, true}) {
    if (reopened) Reopen();
    EXPECT_THAT(ReasonsOf(Name(0)),
                testing::UnorderedElementsAre(
                    "studies/1 BEST_TRIAL", "studies/1 PROMOTABLE",
                    "trainings/2 SOURCE_OF"));
  }
  Acknowledge(10);
  EXPECT_THAT(ReasonsOf(Name(0)), ElementsAre("trainings/2 SOURCE_OF"));
}

TEST_F(RocksdbCatalogTest, TellsWhichReferencesHaveNoCheckpoint) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));

  ASSERT_OK_AND_ASSIGN(
      const auto response,
      catalog_->SetReferences(MakeReferences(
          "trainings/1", 1,
          {{Name(0), v1::SOURCE_OF},
           {Name(7), v1::SOURCE_OF},
           {"studies/9/trials/1/epochs/1/resume", v1::RESUME}})));

  EXPECT_THAT(response.missing(),
              ElementsAre(Name(7), "studies/9/trials/1/epochs/1/resume"));
}

TEST_F(RocksdbCatalogTest, IgnoresAnOlderGeneration) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  v1::SetReferencesRequest newer =
      MakeReferences("studies/1", 5, {{Name(0), v1::BEST_TRIAL}});
  AddHorizon(newer, kRun, 0);
  v1::SetReferencesRequest older = MakeReferences("studies/1", 4);
  older.set_scheduler_sequence(6);
  AddHorizon(older, kRun, 0);
  ASSERT_OK(Set(newer));

  EXPECT_OK(Set(older));

  EXPECT_THAT(ReasonsOf(Name(0)), ElementsAre("studies/1 BEST_TRIAL"));
}

TEST_F(RocksdbCatalogTest, TakesASetInParts) {
  for (int64_t epoch = 0; epoch <= 2; ++epoch) {
    ASSERT_OK(Commit(MakeEpoch(kRun, epoch, epoch)));
  }
  v1::SetReferencesRequest first =
      MakeReferences("studies/1", 1, {{Name(0), v1::BEST_TRIAL}});
  first.set_more(true);
  AddHorizon(first, kRun, 2);
  v1::SetReferencesRequest last =
      MakeReferences("studies/1", 1, {{Name(2), v1::BEST_TRIAL}});

  ASSERT_OK(Set(first));
  EXPECT_THAT(ReasonsOf(Name(0)), ElementsAre("studies/1 RUNNING"));
  ASSERT_OK(Set(first));  // The scheduler restarted between the parts.
  ASSERT_OK(Set(last));

  EXPECT_THAT(ReasonsOf(Name(0)), ElementsAre("studies/1 BEST_TRIAL"));
  EXPECT_THAT(ReasonsOf(Name(1)), IsEmpty());
  EXPECT_THAT(ReasonsOf(Name(2)), ElementsAre("studies/1 BEST_TRIAL"));

  // Parts of an older generation do not mix with the next one's.
  v1::SetReferencesRequest stale =
      MakeReferences("studies/1", 2, {{Name(1), v1::BEST_TRIAL}});
  stale.set_more(true);
  ASSERT_OK(Set(stale));
  ASSERT_OK(Set(MakeReferences("studies/1", 3, {{Name(2), v1::BEST_TRIAL}})));
  EXPECT_THAT(ReasonsOf(Name(1)), IsEmpty());
}

TEST_F(RocksdbCatalogTest, RefusesReferencesThatCannotBe) {
  const std::vector<std::pair<v1::SetReferencesRequest, std::string>> cases = [] {
    std::vector<std::pair<v1::SetReferencesRequest, std::string>> made;
    made.push_back({MakeReferences("person", 1), "owner"});
    made.push_back({MakeReferences(kRun, 1), "owner"});
    made.push_back({MakeReferences("studies/1", 1, {{"x", v1::BEST}}),
                    "references.checkpoint"});
    made.push_back({MakeReferences("studies/1", 1,
                                   {{"studies/1/trials/1/epochs/1",
                                     v1::PINNED}}),
                    "PINNED"});
    made.push_back({MakeReferences("studies/1", 1), "horizons"});
    AddHorizon(made.back().first, "studies/2/trials/1", 1);
    made.push_back({MakeReferences("studies/1", 1), "horizons"});
    AddHorizon(made.back().first, kRun, -2);
    made.push_back({MakeReferences("studies/1", 1), "cluster_id"});
    made.back().first.clear_cluster_id();
    return made;
  }();
  for (const auto& [request, text] : cases) {
    EXPECT_THAT(Set(request), StatusIs(StatusCode::kInvalidArgument, text));
  }
}

TEST_F(RocksdbCatalogTest, DeletesAnOwnersRuns) {
  for (int64_t epoch = 0; epoch <= 1; ++epoch) {
    ASSERT_OK(Commit(MakeEpoch(kRun, epoch, epoch)));
  }
  v1::SetReferencesRequest deleted = MakeReferences("studies/1", 8);
  deleted.set_deleted(true);
  ASSERT_OK(Set(deleted));
  Reopen();

  EXPECT_THAT(Commit(MakeEpoch(kRun, 2, 2)),
              StatusIs(StatusCode::kAborted, "studies/1 was deleted"));
  clock_.Advance(kGrace);
  EXPECT_EQ(Forget(), 2);
  EXPECT_THAT(List(), IsEmpty());
}

TEST_F(RocksdbCatalogTest, BelongsToOneCluster) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  Reopen();
  TestEpoch other = MakeEpoch(kRun, 1, 1);
  other.request.set_cluster_id("ffff");
  v1::SetReferencesRequest references = MakeReferences("studies/1", 1);
  references.set_cluster_id("ffff");

  EXPECT_THAT(Commit(other), StatusIs(StatusCode::kFailedPrecondition,
                                      "--adopt-cluster"));
  EXPECT_THAT(Set(references), StatusIs(StatusCode::kFailedPrecondition,
                                        "--adopt-cluster"));
}

TEST_F(RocksdbCatalogTest, RefusesASchedulerThatIsOlderThanTheStore) {
  v1::SetReferencesRequest references = MakeReferences("studies/1", 1);
  references.set_scheduler_sequence(100);
  ASSERT_OK(Set(references));
  Reopen();
  references = MakeReferences("studies/2", 2);
  references.set_scheduler_sequence(99);

  EXPECT_THAT(Set(references), StatusIs(StatusCode::kFailedPrecondition,
                                        "sequence 100"));
}

TEST_F(RocksdbCatalogTest, CanBeAdoptedByAnotherCluster) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0, /*attempt=*/5)));
  ASSERT_OK(Commit(MakeEpoch(kRun, 1, 1, /*attempt=*/5)));
  Acknowledge(1, {{Name(0), v1::BEST_TRIAL}, {Name(1), v1::BEST_TRIAL}});
  v1::PinCheckpointRequest pin;
  pin.set_name(Name(0));
  pin.set_reason("mine");
  ASSERT_OK(catalog_->Pin(pin));

  Reopen(/*adopt_cluster=*/true);

  for (const bool reopened : {false, true}) {
    if (reopened) Reopen();
    EXPECT_THAT(ReasonsOf(Name(0)),
                testing::UnorderedElementsAre("person PINNED",
                                              "studies/1 RUNNING"));
  }
  const auto of_new_cluster = [](TestEpoch epoch) {
    epoch.request.set_cluster_id("ffff");
    return epoch;
  };
  EXPECT_THAT(Commit(of_new_cluster(MakeEpoch(kRun, 0, 10))),
              StatusIs(StatusCode::kAlreadyExists));
  EXPECT_OK(Commit(of_new_cluster(MakeEpoch(kRun, 1, 11))));
  EXPECT_THAT(Commit(MakeEpoch(kRun, 2, 2)),
              StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(RocksdbCatalogTest, PinsUntilUnpinned) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  Acknowledge(0);
  v1::PinCheckpointRequest pin;
  pin.set_name(Name(0));
  pin.set_reason("for the paper");
  pin.set_request_id("a");
  ASSERT_OK_AND_ASSIGN(const v1::Checkpoint pinned, catalog_->Pin(pin));
  ASSERT_THAT(pinned.references(), SizeIs(1));
  EXPECT_EQ(pinned.references(0).detail(), "for the paper");
  Reopen();
  clock_.Advance(kGrace * 2);
  EXPECT_EQ(Forget(), 0);

  v1::UnpinCheckpointRequest unpin;
  unpin.set_name(Name(0));
  unpin.set_request_id("b");
  ASSERT_OK(catalog_->Unpin(unpin));
  // The answers of requests that come again, in whatever order.
  EXPECT_OK(catalog_->Unpin(unpin));
  ASSERT_OK_AND_ASSIGN(const v1::Checkpoint again, catalog_->Pin(pin));
  EXPECT_THAT(again.references(), SizeIs(1));
  EXPECT_THAT(ReasonsOf(Name(0)), IsEmpty());

  unpin.set_request_id("c");
  EXPECT_THAT(catalog_->Unpin(unpin),
              StatusIs(StatusCode::kNotFound, "not pinned"));
  clock_.Advance(kGrace);
  EXPECT_EQ(Forget(), 1);
  EXPECT_THAT(catalog_->Unpin(unpin), StatusIs(StatusCode::kNotFound));
}

TEST_F(RocksdbCatalogTest, RefusesPinsThatCannotBe) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  v1::PinCheckpointRequest pin;
  pin.set_name(Name(0));
  EXPECT_THAT(catalog_->Pin(pin),
              StatusIs(StatusCode::kInvalidArgument, "reason"));
  pin.set_reason(std::string(201, 'x'));
  EXPECT_THAT(catalog_->Pin(pin),
              StatusIs(StatusCode::kInvalidArgument, "reason"));
  pin.set_reason("why");
  pin.set_name("studies/1");
  EXPECT_THAT(catalog_->Pin(pin), StatusIs(StatusCode::kInvalidArgument));
  pin.set_name(Name(7));
  EXPECT_THAT(catalog_->Pin(pin),
              StatusIs(StatusCode::kNotFound, "there are 0"));

  pin.set_name(Name(0));
  pin.set_request_id("a");
  ASSERT_OK(catalog_->Pin(pin));
  pin.set_reason("another");
  EXPECT_THAT(catalog_->Pin(pin),
              StatusIs(StatusCode::kInvalidArgument, "another request"));
}

TEST_F(RocksdbCatalogTest, SaysWhichEpochsThereAre) {
  EXPECT_THAT(catalog_->Get(Name(4)),
              StatusIs(StatusCode::kNotFound, "no checkpoints"));
  for (const int64_t epoch : {0, 1, 2, 5, 7, 8}) {
    ASSERT_OK(Commit(MakeEpoch(kRun, epoch, epoch)));
  }

  EXPECT_THAT(
      catalog_->Get(Name(4)),
      StatusIs(StatusCode::kNotFound, "of epoch 4; there are 0 to 2, 5, 7 to 8"));
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

TEST_F(RocksdbCatalogTest, SaysTheSameAgainWithoutAWrite) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  v1::SetReferencesRequest request =
      MakeReferences("studies/1", 1, {{Name(0), v1::RUNNING}});
  AddHorizon(request, kRun, 0);
  ASSERT_OK(Set(request));
  const int64_t version = catalog_->version();

  request.set_scheduler_sequence(50);
  ASSERT_OK(Set(request));

  EXPECT_EQ(catalog_->version(), version);
}

}  // namespace
}  // namespace headstart::storage
