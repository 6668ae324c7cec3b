#include "storage/catalog/catalog_fixture_for_tests.h"

namespace headstart::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kName[] = "imports/resnet/epochs/0";

// An import and the blob that it needs; tensors differ for each `seed`.
struct TestImport {
  v1::ImportCheckpointRequest request;
  Blob blob;
};

TestImport MakeImport(uint64_t seed,
                      const std::string& run = "imports/resnet") {
  TestImport made;
  const std::string weight = TensorData(2, seed);
  made.blob = {Digest::Of(weight), absl::Cord(weight)};
  made.request.set_reason("imported from resnet.safetensors");
  v1::Manifest& manifest = *made.request.mutable_manifest();
  manifest.set_format_version(kManifestFormatVersion);
  manifest.set_run(run);
  AddTensor(manifest, "fc.weight", v1::Tensor::PARAMETER, weight);
  AddTensor(manifest, "norm.running_mean", v1::Tensor::BUFFER,
            std::string(8, 'm'));
  return made;
}

class ImportsTest : public CatalogFixture {
 protected:
  absl::StatusOr<v1::Checkpoint> Import(const TestImport& import) {
    EXPECT_OK(blobs_.Put(import.blob.digest, import.blob.bytes));
    return catalog_->Import(import.request);
  }
  absl::Status Unpin() {
    v1::UnpinCheckpointRequest request;
    request.set_name(kName);
    request.set_request_id(absl::StrCat("unpin-", ++request_count_));
    return catalog_->Unpin(request).status();
  }

  int request_count_ = 0;
};

TEST_F(ImportsTest, IsPinnedFromTheStartAndSurvivesARestart) {
  ASSERT_OK_AND_ASSIGN(const v1::Checkpoint answer, Import(MakeImport(1)));
  EXPECT_EQ(answer.name(), kName);
  EXPECT_EQ(answer.run(), "imports/resnet");
  EXPECT_EQ(answer.tensor_count(), 2);
  EXPECT_EQ(answer.attempt(), 0);
  ASSERT_EQ(answer.references_size(), 1);
  EXPECT_EQ(answer.references(0).detail(), "imported from resnet.safetensors");

  for (const bool adopt_cluster : {false, true}) {
    Reopen(adopt_cluster);
    clock_.Advance(2 * kGrace);
    EXPECT_EQ(Forget(), 0);
    EXPECT_THAT(ReasonsOf(kName), ElementsAre("person PINNED"));
    EXPECT_TRUE(catalog_->IsNeeded(MakeImport(1).blob.digest));
  }
  ASSERT_OK_AND_ASSIGN(const auto manifests, catalog_->GetManifests(kName));
  EXPECT_FALSE(manifests.has_resume_manifest());
  EXPECT_EQ(manifests.manifest().tensors(1).role(), v1::Tensor::BUFFER);
}

TEST_F(ImportsTest, IsListedApartFromRuns) {
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 1)));
  ASSERT_OK(Commit(MakeEpoch("trainings/9/runs/1", 0, 2)));
  ASSERT_OK(Import(MakeImport(1)));
  ASSERT_OK(Import(MakeImport(2, "imports/a")));
  EXPECT_THAT(List("imports"), ElementsAre("imports/a/epochs/0", kName));
  EXPECT_THAT(List("imports/resnet"), ElementsAre(kName));
  EXPECT_THAT(List(), ElementsAre(Name(0), "trainings/9/runs/1/epochs/0",
                                  "imports/a/epochs/0", kName));
  EXPECT_THAT(List("studies/1"), ElementsAre(Name(0)));
  Reopen();
  EXPECT_THAT(List("imports"), ElementsAre("imports/a/epochs/0", kName));
  ASSERT_OK_AND_ASSIGN(const auto held, catalog_->Held("imports"));
  EXPECT_EQ(held.size(), 2u);
}

TEST_F(ImportsTest, IsCollectedLikeAnythingOnceItIsUnpinned) {
  ASSERT_OK(Import(MakeImport(1)));
  ASSERT_OK(Unpin());
  EXPECT_THAT(ReasonsOf(kName), IsEmpty());
  clock_.Advance(kGrace);
  EXPECT_EQ(Forget(), 1);
  EXPECT_THAT(List(), IsEmpty());
  EXPECT_FALSE(catalog_->IsNeeded(MakeImport(1).blob.digest));
  EXPECT_THAT(catalog_->Get(kName),
              StatusIs(absl::StatusCode::kNotFound, "imports/resnet"));
}

TEST_F(ImportsTest, ATrainingKeepsItToo) {
  ASSERT_OK(Import(MakeImport(1)));
  ASSERT_OK(Set(MakeReferences("trainings/3", 1, {{kName, v1::SOURCE_OF}})));
  ASSERT_OK(Unpin());
  clock_.Advance(kGrace);
  EXPECT_EQ(Forget(), 0);
  // Other tensors of that name would change what the training starts from.
  EXPECT_THAT(Import(MakeImport(2)),
              StatusIs(absl::StatusCode::kAlreadyExists, "trainings/3"));
  ASSERT_OK(Set(MakeReferences("trainings/3", 2)));
  EXPECT_OK(Import(MakeImport(2)));
}

TEST_F(ImportsTest, TheSameAgainIsANoOpOrPinsAgain) {
  ASSERT_OK_AND_ASSIGN(const v1::Checkpoint first, Import(MakeImport(1)));
  TestImport again = MakeImport(1);
  again.request.set_reason("another");
  ASSERT_OK_AND_ASSIGN(const v1::Checkpoint second, Import(again));
  EXPECT_EQ(second.SerializeAsString(), first.SerializeAsString());

  ASSERT_OK(Unpin());
  ASSERT_OK_AND_ASSIGN(const v1::Checkpoint third, Import(again));
  EXPECT_EQ(third.manifest_digest(), first.manifest_digest());
  EXPECT_EQ(third.references(0).detail(), "another");
  // Counted once: it goes with its last reason.
  ASSERT_OK(Unpin());
  clock_.Advance(kGrace);
  EXPECT_EQ(Forget(), 1);
  EXPECT_FALSE(catalog_->IsNeeded(again.blob.digest));
}

TEST_F(ImportsTest, OtherTensorsOfTheSameNameWaitForTheUnpin) {
  ASSERT_OK(Import(MakeImport(1)));
  EXPECT_THAT(Import(MakeImport(2)),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       absl::StrCat("checkpoints unpin ", kName)));
  EXPECT_FALSE(catalog_->IsNeeded(MakeImport(2).blob.digest));

  ASSERT_OK(Unpin());
  ASSERT_OK(Import(MakeImport(2)));
  EXPECT_FALSE(catalog_->IsNeeded(MakeImport(1).blob.digest));
  EXPECT_TRUE(catalog_->IsNeeded(MakeImport(2).blob.digest));
  Reopen();
  ASSERT_OK_AND_ASSIGN(const v1::Checkpoint stored, catalog_->Get(kName));
  EXPECT_EQ(stored.manifest().SerializeAsString(),
            MakeImport(2).request.manifest().SerializeAsString());
}

TEST_F(ImportsTest, NothingIsThereAfterARefusal) {
  EXPECT_THAT(catalog_->Import(MakeImport(1).request),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "1 of 1 blobs are not stored"));
  EXPECT_THAT(List(), IsEmpty());
  EXPECT_FALSE(catalog_->IsNeeded(MakeImport(1).blob.digest));
  room_ = absl::ResourceExhaustedError("full");
  EXPECT_THAT(Import(MakeImport(1)),
              StatusIs(absl::StatusCode::kResourceExhausted, kName));
  EXPECT_THAT(List(), IsEmpty());
}

TEST_F(ImportsTest, RefusesWhatIsNoImport) {
  const auto refused = [&](auto change, const std::string& words) {
    TestImport import = MakeImport(1);
    change(import.request);
    EXPECT_THAT(Import(import),
                StatusIs(absl::StatusCode::kInvalidArgument, words));
  };
  refused([](auto& r) { r.clear_reason(); }, "reason: 1 to 200");
  refused([](auto& r) { r.mutable_manifest()->set_run("imports/A"); },
          "1 to 64 of a-z");
  refused([](auto& r) { r.mutable_manifest()->set_run(kRun); },
          "imports/{name}, epoch 0");
  refused([](auto& r) { r.mutable_manifest()->set_epoch(1); },
          "imports/{name}, epoch 0");
  refused([](auto& r) { r.mutable_manifest()->clear_tensors(); },
          "there are none");
  refused([](auto& r) { r.mutable_manifest()->mutable_measurement(); },
          "leave them out");
  refused([](auto& r) { r.mutable_manifest()->mutable_initialization(); },
          "leave them out");
  refused(
      [](auto& r) {
        r.mutable_manifest()->mutable_tensors(0)->set_role(
            v1::Tensor::OPTIMIZER);
      },
      "PARAMETER, BUFFER, MASK or INSERTED");
  EXPECT_THAT(List(), IsEmpty());
}

TEST_F(ImportsTest, NoRunCommitsOne) {
  EXPECT_THAT(Commit(MakeEpoch("imports/resnet", 0, 1)),
              StatusIs(absl::StatusCode::kInvalidArgument, "ImportCheckpoint"));
  v1::SetReferencesRequest horizons = MakeReferences("trainings/1", 1);
  AddHorizon(horizons, "imports/resnet", 0);
  EXPECT_THAT(Set(horizons), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace headstart::storage
