// References, pins, clusters, and what is forgotten.
#include "storage/catalog/rocksdb_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/catalog/catalog_fixture_for_tests.h"

namespace headstart::storage {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using RocksdbCatalogReferencesTest = CatalogFixture;

TEST_F(RocksdbCatalogReferencesTest, KeepsWhatTheSchedulerHasNotHeardOf) {
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

TEST_F(RocksdbCatalogReferencesTest, ForgetsAllThatAnEndedRunDoesNotKeep) {
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

TEST_F(RocksdbCatalogReferencesTest, GraceBeginsWhenTheLastReasonGoes) {
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

TEST_F(RocksdbCatalogReferencesTest, LetsAResumeManifestGoWhileTheWeightsStay) {
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

TEST_F(RocksdbCatalogReferencesTest, KeepsTheWeightsOfAResumeManifest) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  Acknowledge(0, {{Name(0) + "/resume", v1::RESUME}});
  clock_.Advance(kGrace);

  EXPECT_EQ(Forget(), 0);

  EXPECT_OK(catalog_->Get(Name(0)));
  EXPECT_OK(catalog_->Get(Name(0) + "/resume"));
}

TEST_F(RocksdbCatalogReferencesTest, CountsEveryOwner) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  Acknowledge(0, {{Name(0), v1::BEST_TRIAL}, {Name(0), v1::PROMOTABLE}});
  v1::SetReferencesRequest training =
      MakeReferences("trainings/2", 9, {{Name(0), v1::SOURCE_OF}});
  training.set_scheduler_sequence(1);
  ASSERT_OK(Set(training));

  for (const bool reopened : {false, true}) {
    if (reopened) Reopen();
    EXPECT_THAT(ReasonsOf(Name(0)),
                testing::UnorderedElementsAre("studies/1 BEST_TRIAL",
                                              "studies/1 PROMOTABLE",
                                              "trainings/2 SOURCE_OF"));
  }
  Acknowledge(10);
  EXPECT_THAT(ReasonsOf(Name(0)), ElementsAre("trainings/2 SOURCE_OF"));
}

TEST_F(RocksdbCatalogReferencesTest, TellsWhichReferencesHaveNoCheckpoint) {
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

TEST_F(RocksdbCatalogReferencesTest, IgnoresAnOlderGeneration) {
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

TEST_F(RocksdbCatalogReferencesTest, TakesASetInParts) {
  for (int64_t epoch = 0; epoch <= 2; ++epoch) {
    ASSERT_OK(Commit(MakeEpoch(kRun, epoch, epoch)));
  }
  v1::SetReferencesRequest first =
      MakeReferences("studies/1", 1, {{Name(0), v1::BEST_TRIAL}});
  first.set_more(true);
  AddHorizon(first, kRun, 2);
  v1::SetReferencesRequest last =
      MakeReferences("studies/1", 1, {{Name(2), v1::BEST_TRIAL}});
  last.set_part(1);

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

TEST_F(RocksdbCatalogReferencesTest, RefusesAPartWithoutThoseBeforeIt) {
  for (int64_t epoch = 0; epoch <= 2; ++epoch) {
    ASSERT_OK(Commit(MakeEpoch(kRun, epoch, epoch)));
  }
  std::vector<v1::SetReferencesRequest> parts;
  for (int64_t part = 0; part <= 2; ++part) {
    parts.push_back(
        MakeReferences("studies/1", 1, {{Name(part), v1::BEST_TRIAL}}));
    parts.back().set_part(part);
    parts.back().set_more(part < 2);
    AddHorizon(parts.back(), kRun, 2);
  }
  ASSERT_OK(Set(parts[0]));
  ASSERT_OK(Set(parts[1]));
  Reopen();  // It forgets them.

  EXPECT_THAT(Set(parts[2]), StatusIs(StatusCode::kAborted, "part 0"));
  EXPECT_THAT(ReasonsOf(Name(0)), ElementsAre("studies/1 RUNNING"));
  ASSERT_OK(Set(parts[0]));
  EXPECT_THAT(Set(parts[2]), StatusIs(StatusCode::kAborted, "after 1 parts"));

  for (const auto& part : parts) ASSERT_OK(Set(part));
  for (int64_t epoch = 0; epoch <= 2; ++epoch) {
    EXPECT_THAT(ReasonsOf(Name(epoch)), ElementsAre("studies/1 BEST_TRIAL"));
  }
}

TEST_F(RocksdbCatalogReferencesTest, RefusesReferencesThatCannotBe) {
  const std::vector<std::pair<v1::SetReferencesRequest, std::string>> cases =
      [] {
        std::vector<std::pair<v1::SetReferencesRequest, std::string>> made;
        made.push_back({MakeReferences("person", 1), "owner"});
        made.push_back({MakeReferences(kRun, 1), "owner"});
        made.push_back({MakeReferences("studies/1", 1, {{"x", v1::BEST}}),
                        "references.checkpoint"});
        made.push_back(
            {MakeReferences("studies/1", 1,
                            {{"studies/1/trials/1/epochs/1", v1::PINNED}}),
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

TEST_F(RocksdbCatalogReferencesTest, DeletesAnOwnersRuns) {
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

TEST_F(RocksdbCatalogReferencesTest, BelongsToOneCluster) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  Reopen();
  TestEpoch other = MakeEpoch(kRun, 1, 1);
  other.request.set_cluster_id("ffff");
  v1::SetReferencesRequest references = MakeReferences("studies/1", 1);
  references.set_cluster_id("ffff");

  EXPECT_THAT(Commit(other),
              StatusIs(StatusCode::kFailedPrecondition, "--adopt-cluster"));
  EXPECT_THAT(Set(references),
              StatusIs(StatusCode::kFailedPrecondition, "--adopt-cluster"));
}

TEST_F(RocksdbCatalogReferencesTest, RefusesASchedulerThatIsOlderThanTheStore) {
  v1::SetReferencesRequest references = MakeReferences("studies/1", 1);
  references.set_scheduler_sequence(100);
  ASSERT_OK(Set(references));
  Reopen();
  references = MakeReferences("studies/2", 2);
  references.set_scheduler_sequence(99);

  EXPECT_THAT(Set(references),
              StatusIs(StatusCode::kFailedPrecondition, "sequence 100"));
}

TEST_F(RocksdbCatalogReferencesTest, CanBeAdoptedByAnotherCluster) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0, /*attempt=*/5)));
  ASSERT_OK(Commit(MakeEpoch(kRun, 1, 1, /*attempt=*/5)));
  Acknowledge(1, {{Name(0), v1::BEST_TRIAL}, {Name(1), v1::BEST_TRIAL}});
  v1::PinCheckpointRequest pin;
  pin.set_name(Name(0));
  pin.set_reason("mine");
  pin.set_request_id("a");
  ASSERT_OK(catalog_->Pin(pin));

  Reopen(/*adopt_cluster=*/true);

  for (const bool reopened : {false, true}) {
    if (reopened) Reopen();
    EXPECT_THAT(ReasonsOf(Name(0)), testing::UnorderedElementsAre(
                                        "person PINNED", "studies/1 RUNNING"));
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

TEST_F(RocksdbCatalogReferencesTest, PinsUntilUnpinned) {
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

TEST_F(RocksdbCatalogReferencesTest, RefusesPinsThatCannotBe) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  v1::PinCheckpointRequest pin;
  pin.set_name(Name(0));
  pin.set_reason("why");
  for (const std::string& id : {std::string(), std::string(65, 'x')}) {
    pin.set_request_id(id);
    EXPECT_THAT(catalog_->Pin(pin),
                StatusIs(StatusCode::kInvalidArgument, "request_id"));
  }
  pin.set_request_id("a");
  pin.clear_reason();
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
  ASSERT_OK(catalog_->Pin(pin));
  pin.set_reason("another");
  EXPECT_THAT(catalog_->Pin(pin),
              StatusIs(StatusCode::kInvalidArgument, "another request"));
}

TEST_F(RocksdbCatalogReferencesTest, SaysTheSameAgainWithoutAWrite) {
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
