#include "storage/server/download.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/net/grpc_status.h"
#include "storage/catalog/manifests_for_tests.h"
#include "storage/safetensors/safetensors.h"
#include "storage/server/store_for_tests.h"

namespace headstart::storage {
namespace {

using absl::StatusCode;

constexpr char kRun[] = "studies/1/trials/1";
constexpr char kName[] = "studies/1/trials/1/epochs/3";

class DownloadTest : public testing::Test {
 protected:
  TestEpoch Commit(int64_t epoch, uint64_t seed) {
    TestEpoch made = MakeEpoch(kRun, epoch, seed);
    // Larger than a message.
    const std::string large = TensorData(300, 9000);
    AddTensor(*made.request.mutable_manifest(), "large", v1::Tensor::PARAMETER,
              large);
    made.blobs.push_back({Digest::Of(large), absl::Cord(large)});
    EXPECT_OK(server_.packs().PutAll(made.blobs));
    EXPECT_OK(server_.catalog().Commit(made.request));
    return made;
  }

  absl::StatusOr<std::string> Fetch(
      const v1::DownloadCheckpointRequest& request,
      int64_t* total_bytes = nullptr) {
    grpc::ClientContext context;
    auto reader = stub_->DownloadCheckpoint(&context, request);
    std::string file;
    v1::DownloadCheckpointResponse piece;
    bool first = true;
    while (reader->Read(&piece)) {
      EXPECT_LE(piece.data().size(), size_t{1} << 20);
      EXPECT_EQ(first, piece.total_bytes() > 0);
      if (first && total_bytes != nullptr) *total_bytes = piece.total_bytes();
      first = false;
      file += piece.data();
    }
    const absl::Status status = FromGrpcStatus(reader->Finish());
    if (!status.ok()) return status;
    return file;
  }
  static v1::DownloadCheckpointRequest Request(
      const std::string& name = kName) {
    v1::DownloadCheckpointRequest request;
    request.set_name(name);
    return request;
  }

  StoreForTests server_;
  const std::unique_ptr<v1::CheckpointService::Stub> stub_ =
      v1::CheckpointService::NewStub(server_.Connect());
};

TEST_F(DownloadTest, IsTheManifestAsSafetensors) {
  const TestEpoch epoch = Commit(3, 1);

  int64_t total_bytes = 0;
  ASSERT_OK_AND_ASSIGN(const std::string file, Fetch(Request(), &total_bytes));

  EXPECT_EQ(total_bytes, static_cast<int64_t>(file.size()));
  ASSERT_OK_AND_ASSIGN(const SafetensorsLayout layout,
                       ParseSafetensorsHeader(file, total_bytes));
  EXPECT_THAT(
      layout.metadata,
      testing::UnorderedElementsAre(
          testing::Pair("epoch", "3"), testing::Pair("format", "pt"),
          testing::Pair("input_transform", "pixel/255"),
          testing::Pair("manifest_digest",
                        ManifestDigest(epoch.request.manifest()).ToString()),
          testing::Pair("model", "linear"), testing::Pair("run", kRun)));
  const auto& tensors = epoch.request.manifest().tensors();
  ASSERT_EQ(layout.tensors.size(), static_cast<size_t>(tensors.size()));
  for (int i = 0; i < tensors.size(); ++i) {
    const SafetensorsTensor& tensor = layout.tensors[i];
    EXPECT_EQ(tensor.name, tensors[i].name());
    const absl::string_view bytes(
        file.data() + layout.data_offset + tensor.offset, tensor.bytes);
    if (tensors[i].has_digest()) {
      EXPECT_EQ(Digest::Of(bytes).bytes(), tensors[i].digest());
    } else {
      EXPECT_EQ(bytes, tensors[i].inlined());
    }
  }
}

TEST_F(DownloadTest, GoesOnFromAnyOffset) {
  Commit(3, 1);
  ASSERT_OK_AND_ASSIGN(const std::string file, Fetch(Request()));
  const int64_t size = static_cast<int64_t>(file.size());

  for (const int64_t offset :
       {int64_t{1}, int64_t{8}, int64_t{700}, int64_t{9000}, int64_t{17'000},
        int64_t{1'000'000}, size - 1, size}) {
    v1::DownloadCheckpointRequest request = Request();
    request.set_offset_bytes(offset);
    int64_t total_bytes = 0;
    EXPECT_THAT(Fetch(request, &total_bytes), IsOkAndHolds(file.substr(offset)))
        << offset;
    EXPECT_EQ(total_bytes, size);
  }
  for (const int64_t offset : {int64_t{-1}, size + 1}) {
    v1::DownloadCheckpointRequest request = Request();
    request.set_offset_bytes(offset);
    EXPECT_THAT(Fetch(request),
                StatusIs(StatusCode::kInvalidArgument, "offset_bytes"));
  }
}

TEST_F(DownloadTest, LeavesBuffersOutWhenAsked) {
  Commit(3, 1);
  v1::DownloadCheckpointRequest request = Request();
  request.set_exclude_buffers(true);

  ASSERT_OK_AND_ASSIGN(const std::string file, Fetch(request));

  ASSERT_OK_AND_ASSIGN(const SafetensorsLayout layout,
                       ParseSafetensorsHeader(file, file.size()));
  std::vector<std::string> names;
  for (const auto& tensor : layout.tensors) names.push_back(tensor.name);
  EXPECT_THAT(names, testing::ElementsAre("fc.weight", "fc.bias", "large"));
}

TEST_F(DownloadTest, GivesAResumeManifestTheSameWay) {
  Commit(3, 1);

  ASSERT_OK_AND_ASSIGN(const std::string file,
                       Fetch(Request(absl::StrCat(kName, "/resume"))));

  EXPECT_THAT(file, testing::HasSubstr("optimizer.fc.weight.momentum"));
}

TEST_F(DownloadTest, NamesTheDamagedTensorAndEpochsThatDoNotNeedIt) {
  Commit(2, 2);
  Commit(3, 1);
  Commit(5, 5);
  // All three share `large`; only epoch 3 has this weight.
  const Digest weight = Digest::Of(TensorData(2, 101));
  std::map<Digest, BlobLocation> locations;
  ASSERT_OK(server_.packs().ForEachBlob(
      [&](const Digest& digest, const BlobLocation& location) {
        locations[digest] = location;
      }));
  {
    std::fstream pack(PackPath(server_.folder() + "/packs", 1),
                      std::ios::in | std::ios::out | std::ios::binary);
    pack.seekp(locations[weight].offset + 100);
    pack.put('!');
  }

  const auto file = Fetch(Request());

  EXPECT_THAT(file, StatusIs(StatusCode::kDataLoss, "fc.weight"));
  EXPECT_THAT(file, StatusIs(StatusCode::kDataLoss, "do not need it: 2, 5."));
  EXPECT_OK(Fetch(Request(absl::StrCat(kRun, "/epochs/2"))));
}

TEST_F(DownloadTest, SaysWhatThereIsInsteadOfAnUnknownEpoch) {
  Commit(3, 1);
  EXPECT_THAT(Fetch(Request(absl::StrCat(kRun, "/epochs/4"))),
              StatusIs(StatusCode::kNotFound, "there are 3"));
  EXPECT_THAT(Fetch(Request("studies/1/winner/epochs/4")),
              StatusIs(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace headstart::storage
