#include "base/net/telemetry.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "base/log.h"
#include "base/net/listener.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What http://{endpoint}/metrics answers, headers and all.
std::string Get(const std::string& endpoint) {
  int port = 0;
  EXPECT_TRUE(
      absl::SimpleAtoi(endpoint.substr(endpoint.rfind(':') + 1), &port));
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  absl::Cleanup close_connection = [connection] { close(connection); };
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<uint16_t>(port));
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(
      connect(connection, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  const std::string request =
      "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(send(connection, request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  char block[4096];
  ssize_t count = 0;
  while ((count = read(connection, block, sizeof(block))) > 0) {
    answer.append(block, static_cast<size_t>(count));
  }
  return answer;
}

TEST(TelemetryTest, SeriesAreThereAtZeroAndCount) {
  Telemetry telemetry;
  prometheus::Counter& commands = telemetry.AddCounter(
      "headstart_commands_total", "Commands.", {{"command", "create_study"}});
  EXPECT_THAT(
      telemetry.Text(),
      HasSubstr("headstart_commands_total{command=\"create_study\"} 0\n"));

  commands.Increment(3);
  EXPECT_THAT(
      telemetry.Text(),
      HasSubstr("headstart_commands_total{command=\"create_study\"} 3\n"));
}

TEST(TelemetryTest, TheSameNameAndLabelsAreTheSameMetric) {
  Telemetry telemetry;
  EXPECT_EQ(&telemetry.AddGauge("a", "A.", {{"state", "x"}}),
            &telemetry.AddGauge("a", "A.", {{"state", "x"}}));
  EXPECT_NE(&telemetry.AddGauge("a", "A.", {{"state", "x"}}),
            &telemetry.AddGauge("a", "A.", {{"state", "y"}}));
}

TEST(TelemetryTest, HistogramsHaveTheirBuckets) {
  Telemetry telemetry;
  telemetry
      .AddHistogram("headstart_append_seconds", "Appends.",
                    Buckets::kCallSeconds)
      .Observe(0.003);
  telemetry.AddHistogram("headstart_epoch_seconds", "Epochs.",
                         Buckets::kWorkSeconds);
  telemetry.AddHistogram("headstart_blob_bytes", "Blobs.", Buckets::kBytes);

  const std::string text = telemetry.Text();
  EXPECT_THAT(text,
              HasSubstr("headstart_append_seconds_bucket{le=\"0.0025\"} 0"));
  EXPECT_THAT(text,
              HasSubstr("headstart_append_seconds_bucket{le=\"0.005\"} 1"));
  EXPECT_THAT(text, HasSubstr("headstart_epoch_seconds_bucket{le=\"3600\"} 0"));
  EXPECT_THAT(text, HasSubstr("headstart_blob_bytes_bucket{le=\"1024\"} 0"));
}

TEST(TelemetryTest, CallbacksAreReadWhileTheyLive) {
  Telemetry telemetry;
  double free = 10;
  {
    const auto callback = telemetry.AddGaugeCallback(
        "headstart_storage_free_bytes", "Room.", [&free] {
          return std::vector<Sample>{
              {.labels = {{"disk", "a"}}, .value = free}};
        });
    free = 12;
    const std::string text = telemetry.Text();
    EXPECT_THAT(text, HasSubstr("# TYPE headstart_storage_free_bytes gauge"));
    EXPECT_THAT(text, HasSubstr("headstart_storage_free_bytes{disk=\"a\"} 12"));
  }
  EXPECT_THAT(telemetry.Text(), Not(HasSubstr("free_bytes")));
}

TEST(TelemetryTest, CountsLogLinesAndKnowsTheProcess) {
  Telemetry telemetry;
  HS_LOG(kError, "an error for the test");
  const std::string text = telemetry.Text();
  EXPECT_THAT(text,
              HasSubstr("headstart_log_lines_total{severity=\"error\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("headstart_log_lines_total{severity=\"warning\"} 0"));
  EXPECT_THAT(text, HasSubstr("headstart_build_info{version=\""));
  EXPECT_THAT(text, ::testing::ContainsRegex(
                        "process_resident_memory_bytes [1-9][0-9]+"));
  EXPECT_THAT(text, ::testing::ContainsRegex("process_open_fds [1-9]"));
}

TEST(TelemetryTest, ServesOverHttp) {
  const TempDir dir;
  const std::string file = dir / "endpoints/metrics-storage";
  {
    Telemetry telemetry;
    telemetry.AddCounter("headstart_a_total", "A.").Increment();
    ASSERT_OK(telemetry.Serve("127.0.0.1:0", file));

    EXPECT_THAT(ReadEndpointFile(file), IsOkAndHolds(telemetry.endpoint()));
    const std::string answer = Get(telemetry.endpoint());
    EXPECT_THAT(answer, HasSubstr("200 OK"));
    EXPECT_THAT(answer, HasSubstr("headstart_a_total 1\n"));
    EXPECT_THAT(answer, HasSubstr("headstart_log_lines_total{"));

    Telemetry second;
    EXPECT_THAT(
        second.Serve(telemetry.endpoint(), ""),
        StatusIs(absl::StatusCode::kFailedPrecondition, telemetry.endpoint()));
  }
  EXPECT_THAT(ReadEndpointFile(file), StatusIs(absl::StatusCode::kNotFound));
}

TEST(TelemetryTest, RefusesAddressesItCannotServe) {
  Telemetry telemetry;
  EXPECT_THAT(telemetry.Serve("0.0.0.0:0", ""),
              StatusIs(absl::StatusCode::kInvalidArgument, "TLS"));
  EXPECT_THAT(telemetry.Serve("unix:/tmp/a.sock", ""),
              StatusIs(absl::StatusCode::kInvalidArgument, "port"));
}

}  // namespace
}  // namespace headstart
