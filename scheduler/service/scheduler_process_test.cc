// headstart-scheduler as a process: its flags, its folder, its end.
#include <grpcpp/create_channel.h>
#include <signal.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/net/grpc_status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "headstart/v1/tuning_service.grpc.pb.h"
#include "headstart/v1/worker_service.grpc.pb.h"
#include "scheduler/journal/rocksdb_journal.h"
#include "scheduler/service/test_support.h"
#include "tests/support/process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::scheduler {
namespace {

using ::testing::HasSubstr;

class SchedulerProcessTest : public testing::Test {
 protected:
  std::vector<std::string> Command() const {
    return {"headstart-scheduler",
            "--data",
            folder_ / "scheduler",
            "--listen",
            absl::StrCat("unix:", folder_ / "users.sock"),
            "--worker-listen",
            absl::StrCat("unix:", folder_ / "workers.sock"),
            "--metrics-listen",
            "127.0.0.1:0",
            "--storage",
            absl::StrCat("unix:", folder_ / "storage.sock"),
            "--endpoints",
            folder_ / "endpoints",
            "--lease-duration=1h"};
  }

  void Start() {
    ASSERT_OK(RemoveFile(folder_ / "endpoints/scheduler"));
    auto process = Process::Start({.command = Command()});
    ASSERT_OK(process);
    process_ = *std::move(process);
    ASSERT_OK_AND_ASSIGN(
        const std::string endpoint,
        process_->AwaitEndpoint(folder_ / "endpoints/scheduler"));
    tuning_ = v1::TuningService::NewStub(
        grpc::CreateChannel(endpoint, grpc::InsecureChannelCredentials()));
    ASSERT_OK_AND_ASSIGN(const std::string worker_endpoint,
                         ReadFile(folder_ / "endpoints/scheduler-worker"));
    worker_ = v1::WorkerService::NewStub(grpc::CreateChannel(
        worker_endpoint, grpc::InsecureChannelCredentials()));
  }

  absl::StatusOr<std::string> CreateStudy(const std::string& request_id) {
    v1::CreateStudyRequest request;
    *request.mutable_study() = RandomStudy(/*trial_count=*/1, /*epochs=*/2);
    request.set_request_id(request_id);
    grpc::ClientContext context;
    v1::CreateStudyResponse response;
    const grpc::Status status =
        tuning_->CreateStudy(&context, request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    return response.study().name();
  }

  FakeAgent MakeAgent() {
    return FakeAgent("workers/a", /*slots=*/1,
                     [this](const v1::SynchronizeRequest& request)
                         -> absl::StatusOr<v1::SynchronizeResponse> {
                       grpc::ClientContext context;
                       v1::SynchronizeResponse response;
                       const grpc::Status status =
                           worker_->Synchronize(&context, request, &response);
                       if (!status.ok()) return FromGrpcStatus(status);
                       return response;
                     });
  }

  TempDir folder_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<v1::TuningService::Stub> tuning_;
  std::unique_ptr<v1::WorkerService::Stub> worker_;
};

TEST_F(SchedulerProcessTest, KeepsWhatItAnsweredWhenKilled) {
  Start();
  std::vector<std::string> answered;  // Study i + 1 was made by request i.
  for (int kills = 0; kills < 5; ++kills) {
    // The thread is killed over: it ends with the first call that fails.
    std::thread client([&] {
      while (true) {
        auto name = CreateStudy(absl::StrCat("request-", answered.size()));
        if (!name.ok()) return;
        answered.push_back(*std::move(name));
      }
    });
    FakeAgent agent = MakeAgent();
    agent.request().set_incarnation(kills + 1);
    int64_t trained = 0;
    while (trained < 10 + 5 * kills) {
      ASSERT_OK(agent.Synchronize());
      trained += static_cast<int64_t>(agent.assignments().size());
      agent.Train();
    }
    process_->Kill();
    client.join();

    Start();
    for (size_t i = 0; i < answered.size(); ++i) {
      EXPECT_EQ(answered[i], absl::StrCat("studies/", i + 1));
    }
    // What was in flight may be there or not; asking again makes it once.
    ASSERT_OK_AND_ASSIGN(
        const std::string next,
        CreateStudy(absl::StrCat("request-", answered.size())));
    EXPECT_EQ(next, absl::StrCat("studies/", answered.size() + 1));
    answered.push_back(next);
    EXPECT_THAT(CreateStudy("request-0"), IsOkAndHolds("studies/1"));
  }
}

TEST_F(SchedulerProcessTest, EndsCleanlyWhileAgentsAndWatchersWait) {
  Start();
  ASSERT_OK(CreateStudy("a"));
  grpc::ClientContext watch;
  v1::WatchStudyRequest request;
  request.set_name("studies/1");
  auto stream = tuning_->WatchStudy(&watch, request);
  v1::WatchStudyResponse message;
  ASSERT_TRUE(stream->Read(&message));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  std::thread poll([&] {
    while (agent.Synchronize().ok()) {
    }
  });

  ASSERT_OK_AND_ASSIGN(const ProcessExit end, process_->Terminate());
  poll.join();

  EXPECT_EQ(end, (ProcessExit{.exit_code = 0}));
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(SchedulerProcessTest, RefusesAFolderThatIsInUseNamingTheHolder) {
  Start();

  ASSERT_OK_AND_ASSIGN(const CommandResult second,
                       RunCommand({.command = Command()}));

  EXPECT_EQ(second.exit.exit_code, 1);
  EXPECT_THAT(second.stderr_text, HasSubstr(absl::StrCat(process_->pid())));
  EXPECT_THAT(second.stderr_text, HasSubstr(folder_ / "scheduler"));
  EXPECT_OK(CreateStudy("a"));
}

TEST_F(SchedulerProcessTest, RefusesAJournalOfANewerRelease) {
  ASSERT_OK(MakeFolders(folder_ / "scheduler"));
  {
    auto journal =
        RocksdbJournal::Open({.folder = folder_ / "scheduler/journal",
                              .new_cluster_id = std::string(32, 'c')});
    ASSERT_OK(journal);
    Event newer;
    newer.set_format_version(kJournalFormatVersion + 1);
    ASSERT_OK((*journal)->Append({newer}));
  }

  ASSERT_OK_AND_ASSIGN(const CommandResult result,
                       RunCommand({.command = Command()}));

  EXPECT_EQ(result.exit.exit_code, 1);
  EXPECT_THAT(result.stderr_text, HasSubstr("format version 2"));
}

TEST_F(SchedulerProcessTest, RefusesFlagsOutOfRangeAndOpenAddresses) {
  std::vector<std::string> command = Command();
  command.back() = "--lease-duration=10ms";
  ASSERT_OK_AND_ASSIGN(const CommandResult lease,
                       RunCommand({.command = command}));
  EXPECT_EQ(lease.exit.exit_code, 2);
  EXPECT_THAT(lease.stderr_text, HasSubstr("from 1s to 1h"));

  command = Command();
  command[4] = "0.0.0.0:7700";
  ASSERT_OK_AND_ASSIGN(const CommandResult open,
                       RunCommand({.command = command}));
  EXPECT_EQ(open.exit.exit_code, 1);
  EXPECT_THAT(open.stderr_text, HasSubstr("0.0.0.0:7700"));
  EXPECT_FALSE(ReadFile(folder_ / "scheduler/lock").ok()) << "nothing is made";
}

TEST_F(SchedulerProcessTest, PrintsWhatItWouldRunWith) {
  std::vector<std::string> command = Command();
  command.push_back("--free-bytes-floor=1MiB");
  command.push_back("--print-config");

  ASSERT_OK_AND_ASSIGN(const CommandResult result,
                       RunCommand({.command = command}));

  EXPECT_EQ(result.exit.exit_code, 0);
  EXPECT_THAT(result.stdout_text, HasSubstr("--lease-duration=1h\n"));
  EXPECT_THAT(result.stdout_text, HasSubstr("--free-bytes-floor=1048576\n"));
}

}  // namespace
}  // namespace headstart::scheduler
