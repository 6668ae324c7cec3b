#include "storage/server/blob_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/net/grpc_status.h"
#include "storage/blob/remote_blob_store.h"
#include "storage/blob/verifying_blob_store.h"
#include "storage/catalog/manifests_for_tests.h"
#include "storage/server/store_for_tests.h"
#include "tests/contract/blob_store_contract.h"

namespace headstart::storage {
namespace {

using absl::StatusCode;

// What an agent has: verified blobs on the other side of a channel.
class RemoteHarness final : public BlobStoreHarness {
 public:
  BlobStore& store() override { return verifying_; }

 private:
  StoreForTests server_;
  RemoteBlobStore remote_{server_.Connect()};
  VerifyingBlobStore verifying_{remote_};
};

// The server's own judgement, without the agent's.
class BareRemoteHarness final : public BlobStoreHarness {
 public:
  BlobStore& store() override { return remote_; }

 private:
  StoreForTests server_;
  RemoteBlobStore remote_{server_.Connect()};
};

template <typename Harness>
std::unique_ptr<BlobStoreHarness> Make() {
  return std::make_unique<Harness>();
}

INSTANTIATE_TEST_SUITE_P(Remote, BlobStoreContract,
                         testing::Values(&Make<RemoteHarness>));
INSTANTIATE_TEST_SUITE_P(BareRemote, BlobStoreContract,
                         testing::Values(&Make<BareRemoteHarness>));

class BlobServiceTest : public testing::Test {
 protected:
  // Sends these messages as one upload.
  absl::Status Upload(const std::vector<v1::UploadBlobsRequest>& parts,
                      v1::UploadBlobsResponse* response = nullptr) {
    v1::UploadBlobsResponse ignored;
    grpc::ClientContext context;
    auto writer = stub_->UploadBlobs(&context, response ? response : &ignored);
    for (const auto& part : parts) {
      if (!writer->Write(part)) break;
    }
    writer->WritesDone();
    return FromGrpcStatus(writer->Finish());
  }
  static v1::UploadBlobsRequest Part(const std::string& digest, int64_t total,
                                     const std::string& data) {
    v1::UploadBlobsRequest part;
    part.set_digest(digest);
    part.set_total_bytes(total);
    part.set_data(data);
    return part;
  }
  static std::string Sha(absl::string_view bytes) {
    return std::string(Digest::Of(bytes).bytes());
  }

  StoreForTests server_;
  const std::unique_ptr<v1::BlobService::Stub> stub_ =
      v1::BlobService::NewStub(server_.Connect());
};

TEST_F(BlobServiceTest, PutsPartsTogetherAndCountsWhatWasNew) {
  v1::UploadBlobsResponse response;
  ASSERT_OK(Upload({Part(Sha("abc"), 3, "a"), Part("", 0, "bc"),
                    Part(Sha(""), 0, ""), Part(Sha("de"), 2, "de")},
                   &response));
  EXPECT_EQ(response.stored_count(), 3);
  EXPECT_EQ(response.stored_bytes(), 5);

  ASSERT_OK(Upload({Part(Sha("abc"), 3, "abc")}, &response));
  EXPECT_EQ(response.stored_count(), 0);
  EXPECT_THAT(server_.packs().Get(Digest::Of("abc")),
              IsOkAndHolds(absl::Cord("abc")));
}

TEST_F(BlobServiceTest, RefusesStreamsThatMakeNoBlobs) {
  const std::string mib(1 << 20, 'x');
  const std::vector<std::pair<std::vector<v1::UploadBlobsRequest>, std::string>>
      cases = {
          {{Part("", 3, "abc")}, "follows none"},
          {{Part("short", 3, "abc")}, "32 bytes"},
          {{Part(Sha("abc"), 3, "a")}, "within blob"},
          {{Part(Sha("abc"), 3, "a"), Part(Sha("de"), 2, "de")},
           "not complete"},
          {{Part(Sha("abc"), 2, "abc")}, "more bytes"},
          {{Part(Sha("abc"), -1, "abc")}, "total_bytes"},
          {{Part(Sha("abc"), kBlobBytesMax + 1, "abc")}, "total_bytes"},
          {{Part(Sha("abc"), 3, "abd")}, "hash to"},
          {{Part(Sha(mib + "x"), (1 << 20) + 1, mib + "x")}, "at most 1048576"},
      };
  for (const auto& [parts, text] : cases) {
    EXPECT_THAT(Upload(parts), StatusIs(StatusCode::kInvalidArgument, text));
  }
}

TEST_F(BlobServiceTest, TakesInNoMoreBytesAtATimeThanItMay) {
  StoreForTests small(1 << 20, /*upload_bytes_max=*/1000);
  const auto stub = v1::BlobService::NewStub(small.Connect());
  const std::string first_bytes(600, 'a');
  const std::string second_bytes(600, 'b');
  grpc::ClientContext context;
  v1::UploadBlobsResponse response;
  auto first = stub->UploadBlobs(&context, &response);
  ASSERT_TRUE(first->Write(Part(Sha(first_bytes), 600, "a")));
  // Written is not yet read: the other would come first, and wait for nobody.
  while (small.blob_service().HeldBytes() < 600) std::this_thread::yield();
  std::thread other([&] {
    RemoteBlobStore remote(small.Connect());
    EXPECT_OK(
        remote.PutAll({{Digest::Of("x"), absl::Cord("x")},
                       {Digest::Of(second_bytes), absl::Cord(second_bytes)}}));
  });
  while (small.blob_service().WaitingUploads() < 1) std::this_thread::yield();

  // What it held when it began to wait is stored.
  EXPECT_THAT(
      small.packs().FindMissing({Digest::Of("x"), Digest::Of(second_bytes)}),
      IsOkAndHolds(testing::ElementsAre(Digest::Of(second_bytes))));
  ASSERT_TRUE(first->Write(Part("", 0, first_bytes.substr(1))));
  first->WritesDone();
  ASSERT_OK(FromGrpcStatus(first->Finish()));
  other.join();

  EXPECT_OK(small.packs().Get(Digest::Of(first_bytes)));
  EXPECT_OK(small.packs().Get(Digest::Of(second_bytes)));
}

TEST_F(BlobServiceTest, UploadsDoNotWaitForEachOtherForever) {
  StoreForTests small(1 << 20, /*upload_bytes_max=*/1000);
  std::vector<std::thread> uploads;
  for (int i = 0; i < 6; ++i) {
    uploads.emplace_back([&small, i] {
      std::vector<Blob> blobs;
      for (int64_t size : {300, 400, 2000, 500, 999, 1001}) {
        const std::string bytes(size, static_cast<char>('a' + i));
        blobs.push_back({Digest::Of(bytes), absl::Cord(bytes)});
      }
      RemoteBlobStore remote(small.Connect());
      EXPECT_OK(remote.PutAll(blobs));
      EXPECT_THAT(small.packs().FindMissing({blobs[2].digest}),
                  IsOkAndHolds(testing::IsEmpty()));
    });
  }
  for (std::thread& upload : uploads) upload.join();
  EXPECT_EQ(small.blob_service().WaitingUploads(), 0);
}

// What ended without its blob gives its bytes back.
TEST_F(BlobServiceTest, ABrokenUploadHoldsNothing) {
  StoreForTests small(1 << 20, /*upload_bytes_max=*/1000);
  const auto stub = v1::BlobService::NewStub(small.Connect());
  for (int i = 0; i < 3; ++i) {
    grpc::ClientContext context;
    v1::UploadBlobsResponse response;
    auto writer = stub->UploadBlobs(&context, &response);
    ASSERT_TRUE(writer->Write(Part(Sha("never whole"), 900, "a")));
    writer->WritesDone();
    EXPECT_THAT(FromGrpcStatus(writer->Finish()),
                StatusIs(StatusCode::kInvalidArgument, "within blob"));
  }
}

TEST_F(BlobServiceTest, RefusesTooManyDigestsAtOnce) {
  v1::FindMissingBlobsRequest request;
  for (int i = 0; i < 10'001; ++i) request.add_digests(Sha("x"));
  grpc::ClientContext context;
  v1::FindMissingBlobsResponse response;

  EXPECT_THAT(
      FromGrpcStatus(stub_->FindMissingBlobs(&context, request, &response)),
      StatusIs(StatusCode::kInvalidArgument, "at most 10000"));
}

TEST_F(BlobServiceTest, CommitsWhatWasUploaded) {
  const TestEpoch epoch = MakeEpoch("studies/1/trials/1", 0, 1);
  const auto commit = [&](v1::CommitCheckpointResponse* response) {
    grpc::ClientContext context;
    return FromGrpcStatus(
        stub_->CommitCheckpoint(&context, epoch.request, response));
  };
  v1::CommitCheckpointResponse response;
  EXPECT_THAT(commit(&response),
              StatusIs(StatusCode::kFailedPrecondition, "not stored"));
  RemoteBlobStore remote(server_.Connect());
  ASSERT_OK(remote.PutAll(epoch.blobs));

  ASSERT_OK(commit(&response));

  EXPECT_EQ(response.manifest_digest(),
            ManifestDigest(epoch.request.manifest()).bytes());
  grpc::ClientContext context;
  v1::GetManifestsRequest request;
  request.set_checkpoint("studies/1/trials/1/epochs/0");
  v1::GetManifestsResponse manifests;
  ASSERT_OK(FromGrpcStatus(stub_->GetManifests(&context, request, &manifests)));
  EXPECT_EQ(CanonicalBytes(manifests.resume_manifest()),
            CanonicalBytes(epoch.request.resume_manifest()));
}

}  // namespace
}  // namespace headstart::storage
