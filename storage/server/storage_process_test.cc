// headstart-storage as a process: flags, locks, kill -9, drain.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/net/grpc_status.h"
#include "headstart/v1/admin_service.grpc.pb.h"
#include "headstart/v1/checkpoint_service.grpc.pb.h"
#include "storage/blob/remote_blob_store.h"
#include "storage/catalog/manifests_for_tests.h"
#include "tests/support/process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::storage {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

constexpr char kRun[] = "studies/1/trials/1";

class StorageProcessTest : public testing::Test {
 protected:
  std::vector<std::string> Command(std::vector<std::string> more = {}) {
    std::vector<std::string> command = {
        "headstart-storage",
        "--data",
        folder_ / "data",
        "--listen",
        absl::StrCat("unix:", folder_ / "socket"),
        "--endpoints",
        folder_ / "endpoints",
        "--metrics-listen",
        "127.0.0.1:0"};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  void Start(std::vector<std::string> more = {}) {
    std::filesystem::remove(folder_ / "endpoints/storage");
    auto started = Process::Start({.command = Command(std::move(more))});
    ASSERT_OK(started);
    process_ = *std::move(started);
    ASSERT_OK_AND_ASSIGN(
        const std::string endpoint,
        process_->AwaitEndpoint(folder_ / "endpoints/storage"));
    channel_ =
        grpc::CreateChannel(endpoint, grpc::InsecureChannelCredentials());
    blobs_ = v1::BlobService::NewStub(channel_);
    checkpoints_ = v1::CheckpointService::NewStub(channel_);
  }
  absl::Status Commit(const TestEpoch& epoch) {
    RemoteBlobStore remote(channel_);
    const absl::Status stored = remote.PutAll(epoch.blobs);
    if (!stored.ok()) return stored;
    grpc::ClientContext context;
    v1::CommitCheckpointResponse response;
    return FromGrpcStatus(
        blobs_->CommitCheckpoint(&context, epoch.request, &response));
  }
  std::vector<std::string> List() {
    grpc::ClientContext context;
    v1::ListCheckpointsResponse response;
    EXPECT_OK(
        FromGrpcStatus(checkpoints_->ListCheckpoints(&context, {}, &response)));
    std::vector<std::string> names;
    for (const auto& checkpoint : response.checkpoints()) {
      names.push_back(checkpoint.name());
    }
    return names;
  }
  // What of the store is damaged.
  int Verify() {
    const auto admin = v1::StorageAdminService::NewStub(channel_);
    grpc::ClientContext context;
    auto reader = admin->VerifyStorage(&context, {});
    v1::VerifyStorageResponse last;
    while (reader->Read(&last)) {
    }
    EXPECT_OK(FromGrpcStatus(reader->Finish()));
    EXPECT_TRUE(last.done());
    return last.damaged_size();
  }

  TempDir folder_;
  std::unique_ptr<Process> process_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::BlobService::Stub> blobs_;
  std::unique_ptr<v1::CheckpointService::Stub> checkpoints_;
};

TEST_F(StorageProcessTest, HasEverythingAcknowledgedAfterKills) {
  std::vector<std::string> acknowledged;
  for (int64_t round = 0; round < 4; ++round) {
    Start();
    for (int64_t i = 0; i < 3; ++i) {
      const int64_t epoch = 3 * round + i;
      ASSERT_OK(Commit(MakeEpoch(kRun, epoch, epoch)));
      acknowledged.push_back(absl::StrCat(kRun, "/epochs/", epoch));
    }
    process_->Kill();
  }
  Start();

  EXPECT_EQ(List(), acknowledged);
  EXPECT_EQ(Verify(), 0);
}

TEST_F(StorageProcessTest, EndsInOrderWhenAsked) {
  Start();
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));

  ASSERT_OK_AND_ASSIGN(const ProcessExit exit, process_->Terminate());

  EXPECT_EQ(exit, ProcessExit{.exit_code = 0});
  EXPECT_FALSE(std::filesystem::exists(folder_ / "endpoints/storage"));
}

TEST_F(StorageProcessTest, SharesItsFolderWithNobody) {
  Start();

  ASSERT_OK_AND_ASSIGN(
      const CommandResult second,
      RunCommand({.command = {"headstart-storage", "--data", folder_ / "data",
                              "--listen", "127.0.0.1:0", "--metrics-listen",
                              "127.0.0.1:0"}}));

  EXPECT_TRUE(std::filesystem::exists(folder_ / "data/lock"));
  EXPECT_EQ(second.exit.exit_code, 1);
  EXPECT_THAT(second.stderr_text,
              HasSubstr(absl::StrCat("process ", process_->pid())));
  EXPECT_TRUE(process_->running());
}

TEST_F(StorageProcessTest, RefusesToStoreOnAFullDiskAndGoesOnReading) {
  Start();
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  ASSERT_OK(process_->Terminate());
  Start({"--free-bytes-floor", "1000000TiB"});

  EXPECT_THAT(Commit(MakeEpoch(kRun, 1, 1)),
              StatusIs(StatusCode::kResourceExhausted, folder_.path()));

  EXPECT_THAT(List(), testing::SizeIs(1));
  EXPECT_EQ(Verify(), 0);
}

TEST_F(StorageProcessTest, ForgetsAfterItsGracePeriod) {
  Start({"--grace-period", "1s"});
  ASSERT_OK(Commit(MakeEpoch(kRun, 0, 0)));
  ASSERT_OK(Commit(MakeEpoch(kRun, 1, 1)));
  const auto stub = v1::ReferenceService::NewStub(channel_);
  v1::SetReferencesRequest request = MakeReferences(
      "studies/1", 1, {{absl::StrCat(kRun, "/epochs/1"), v1::BEST_TRIAL}});
  AddHorizon(request, kRun, 1, 1, /*ended=*/true);
  grpc::ClientContext context;
  v1::SetReferencesResponse response;
  ASSERT_OK(FromGrpcStatus(stub->SetReferences(&context, request, &response)));

  // The process's own thread does it.
  while (List().size() > 1) std::this_thread::yield();

  EXPECT_THAT(List(), testing::ElementsAre(absl::StrCat(kRun, "/epochs/1")));
}

TEST_F(StorageProcessTest, SaysWhatIsWrongWithItsFlags) {
  const std::vector<std::tuple<std::vector<std::string>, int, std::string>>
      cases = {{{"--grace-period", "10"}, 2, "from 1s to 8760h"},
               {{"--free-bytes-floor", "12"}, 2, "KiB, MiB"},
               {{"--free-bytes-floor", "99999999TiB"}, 2, "KiB, MiB"},
               {{"--no-such-flag"}, 2, "no-such-flag"},
               {{"--listen", "0.0.0.0:1"}, 1, "0.0.0.0"}};
  for (const auto& [flags, code, text] : cases) {
    // The last of a repeated flag would count: give the folder alone.
    std::vector<std::string> command = {"headstart-storage", "--data",
                                        folder_ / "data", "--metrics-listen",
                                        "127.0.0.1:0"};
    command.insert(command.end(), flags.begin(), flags.end());
    ASSERT_OK_AND_ASSIGN(const CommandResult result,
                         RunCommand({.command = command}));
    EXPECT_EQ(result.exit.exit_code, code) << text;
    EXPECT_THAT(result.stdout_text + result.stderr_text, HasSubstr(text));
  }
}

TEST_F(StorageProcessTest, PrintsItsConfiguration) {
  ASSERT_OK_AND_ASSIGN(
      const CommandResult result,
      RunCommand(
          {.command = Command({"--print-config", "--grace-period", "90s"})}));

  EXPECT_EQ(result.exit.exit_code, 0);
  EXPECT_THAT(result.stdout_text, HasSubstr("grace-period=1m30s\n"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "data"));
}

}  // namespace
}  // namespace headstart::storage
