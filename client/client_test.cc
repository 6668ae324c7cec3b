#include "client/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "base/net/listener.h"
#include "tests/support/fake_cluster.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

v1::Study NamedStudy(const std::string& name) {
  v1::Study study;
  study.set_name(name);
  return study;
}

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() : client_(Options()) {}

  ClientOptions Options() {
    return {.server = cluster_.address(),
            .retry = {.wait_initial = absl::Microseconds(10),
                      .wait_max = absl::Microseconds(100)}};
  }

  FakeCluster cluster_;
  Client client_;
};

TEST_F(ClientTest, PassesRequestsAndAnswersOn) {
  cluster_.Answer("GetStudy", NamedStudy("studies/1"));
  v1::GetStudyRequest request;
  request.set_name("studies/1");

  ASSERT_OK_AND_ASSIGN(const v1::Study study, client_.GetStudy(request));

  EXPECT_EQ(study.name(), "studies/1");
  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre("GetStudy name: \"studies/1\""));
}

TEST_F(ClientTest, PassesErrorsOnAsTheyCame) {
  cluster_.Fail("GetStudy", absl::NotFoundError("studies/9 does not exist"));
  const absl::Status status = client_.GetStudy({}).status();
  EXPECT_EQ(status, absl::NotFoundError("studies/9 does not exist"));
}

TEST_F(ClientTest, RepeatsWithTheSameRequestId) {
  cluster_.Fail("PauseStudy", absl::UnavailableError("restarting"));
  cluster_.Fail("PauseStudy", absl::UnavailableError("restarting"));
  cluster_.Answer("PauseStudy", NamedStudy("studies/1"));
  v1::PauseStudyRequest request;
  request.set_name("studies/1");

  ASSERT_OK(client_.PauseStudy(request));
  const std::vector<std::string> calls = cluster_.TakeCalls();
  ASSERT_OK(client_.PauseStudy(request));
  const std::vector<std::string> next = cluster_.TakeCalls();

  ASSERT_THAT(calls, SizeIs(3));
  EXPECT_EQ(calls[0], calls[1]);
  EXPECT_EQ(calls[0], calls[2]);
  EXPECT_TRUE(absl::StrContains(calls[0], "request_id"));
  ASSERT_THAT(next, SizeIs(1));
  EXPECT_NE(next[0], calls[0]);  // Another request has another id.
}

TEST_F(ClientTest, KeepsARequestIdThatWasGiven) {
  cluster_.Answer("CreateStudy", v1::CreateStudyResponse());
  v1::CreateStudyRequest request;
  request.set_request_id("mine");
  ASSERT_OK(client_.CreateStudy(request));
  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre("CreateStudy request_id: \"mine\""));
}

TEST_F(ClientTest, SaysWhereItLookedForAServerThatIsAway) {
  const TempDir folder;
  ClientOptions options = Options();
  options.server = "unix:" + (folder / "none");
  options.retry.total_max = absl::Milliseconds(20);
  Client client(options);

  EXPECT_THAT(client.GetStudy({}),
              StatusIs(absl::StatusCode::kUnavailable, options.server));
}

TEST_F(ClientTest, FindsStorageThroughTheScheduler) {
  cluster_.Answer("GetUsage", v1::GetUsageResponse());
  ASSERT_OK(client_.GetUsage({}));
  EXPECT_THAT(cluster_.TakeCalls(), ElementsAre("GetUsage"));
}

TEST_F(ClientTest, OpensABrokenStreamAgain) {
  v1::WatchStudyResponse first;
  first.mutable_study()->set_recorded_epochs(1);
  v1::WatchStudyResponse second;
  second.mutable_study()->set_recorded_epochs(2);
  cluster_.Stream("WatchStudy", {first.SerializeAsString()},
                  absl::UnavailableError("restarting"));
  cluster_.Fail("WatchStudy", absl::UnavailableError("restarting"));
  cluster_.Stream("WatchStudy",
                  {first.SerializeAsString(), second.SerializeAsString()});

  std::vector<int64_t> seen;
  ASSERT_OK(client_.WatchStudy({}, [&](const v1::WatchStudyResponse& update) {
    seen.push_back(update.study().recorded_epochs());
    return true;
  }));

  EXPECT_THAT(seen, ElementsAre(1, 1, 2));
  EXPECT_THAT(cluster_.TakeCalls(), SizeIs(3));
}

TEST_F(ClientTest, EndsAStreamWhenItIsToldTo) {
  v1::WatchStudyResponse update;
  cluster_.Stream("WatchStudy",
                  {update.SerializeAsString(), update.SerializeAsString()});
  int64_t count = 0;
  EXPECT_OK(client_.WatchStudy({}, [&](const v1::WatchStudyResponse&) {
    ++count;
    return false;
  }));
  EXPECT_EQ(count, 1);
}

TEST_F(ClientTest, DownloadsEveryByteOnceWhenTheStreamBreaks) {
  std::string file;
  for (int i = 0; i < 1000; ++i) file += static_cast<char>(i * 7);
  cluster_.SetFile(file, /*part_bytes=*/64, /*parts_per_stream=*/4);
  v1::DownloadCheckpointRequest request;
  request.set_name("studies/1/trials/1/epochs/5");

  std::string bytes;
  ASSERT_OK(client_.DownloadCheckpoint(
      request, [&](absl::string_view part, int64_t total_bytes) {
        bytes += std::string(part);
        EXPECT_EQ(total_bytes, 1000);
        return absl::OkStatus();
      }));

  EXPECT_EQ(bytes, file);
  const std::vector<std::string> calls = cluster_.TakeCalls();
  ASSERT_THAT(calls, SizeIs(4));
  EXPECT_EQ(calls[3],
            "DownloadCheckpoint name: \"studies/1/trials/1/epochs/5\" "
            "offset_bytes: 768");
}

TEST_F(ClientTest, EndsADownloadThatCannotBeWritten) {
  cluster_.SetFile(std::string(1000, 'x'), 64, 100);
  EXPECT_THAT(client_.DownloadCheckpoint({},
                                         [&](absl::string_view, int64_t) {
                                           return absl::ResourceExhaustedError(
                                               "the disk is full");
                                         }),
              StatusIs(absl::StatusCode::kResourceExhausted, "disk"));
}

TEST_F(ClientTest, RefusesADownloadThatIsCutShort) {
  cluster_.Fail("DownloadCheckpoint", absl::OkStatus());  // Ends at once.
  EXPECT_THAT(
      client_.DownloadCheckpoint(
          {}, [](absl::string_view, int64_t) { return absl::OkStatus(); }),
      StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(ClientTest, CancelEndsCallsInProgressAndLaterOnes) {
  v1::WatchStudyResponse update;
  // Endless: each stream breaks after a message, and the next one opens.
  cluster_.Stream("WatchStudy", {update.SerializeAsString()},
                  absl::UnavailableError("restarting"));
  StopEvent has_begun;
  std::thread canceller([&] {
    has_begun.Wait();
    client_.Cancel();
  });

  const absl::Status status =
      client_.WatchStudy({}, [&](const v1::WatchStudyResponse&) {
        has_begun.Stop();
        return true;
      });
  canceller.join();

  EXPECT_THAT(status, StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(client_.GetStudy({}), StatusIs(absl::StatusCode::kCancelled));
}

TEST(NewRequestIdTest, IsNeverTheSame) {
  EXPECT_THAT(NewRequestId(), SizeIs(32));
  EXPECT_NE(NewRequestId(), NewRequestId());
}

TEST(FindServerTest, SaysHowToStartOne) {
  const TempDir folder;
  EXPECT_THAT(FindServer(folder.path()),
              StatusIs(absl::StatusCode::kNotFound,
                       "headstart up --data " + folder.path()));
  ASSERT_OK(WriteEndpointFile(folder / "endpoints/scheduler", "unix:/x"));
  EXPECT_THAT(FindServer(folder.path()), IsOkAndHolds("unix:/x"));
}

}  // namespace
}  // namespace headstart::client
