#include "base/net/listener.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <string>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

ListenAddress Address(const std::string& text) {
  return ListenAddress::Parse(text).value();
}

// Calls `method` over the wire, message bytes in and out. A stream of one
// message each way looks the same.
absl::StatusOr<std::string> Call(const std::string& endpoint,
                                 const std::string& method,
                                 const std::string& message) {
  grpc::GenericStub stub(
      grpc::CreateChannel(endpoint, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::minutes(1));
  grpc::CompletionQueue queue;
  const grpc::Slice slice(message);
  const grpc::ByteBuffer request(&slice, 1);
  const auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!status.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        status.error_message());
  }
  grpc::Slice bytes;
  if (!answer.DumpToSingleSlice(&bytes).ok()) {
    return absl::InternalError("no bytes");
  }
  return std::string(reinterpret_cast<const char*>(bytes.begin()),
                     bytes.size());
}

// Asks the server's health service: SERVING is field 1 = 1.
absl::StatusOr<std::string> Health(const std::string& endpoint) {
  return Call(endpoint, "/grpc.health.v1.Health/Check", "");
}

const std::string kServing = "\x08\x01";

// Asks the server's reflection service: list_services, field 7, of all hosts.
absl::StatusOr<std::string> ListServices(const std::string& endpoint) {
  return Call(endpoint,
              "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
              "\x3a\x01*");
}

TEST(ListenAddressTest, ReadsLoopbackAndSockets) {
  EXPECT_EQ(Address("127.0.0.1:7700").ToString(), "127.0.0.1:7700");
  EXPECT_EQ(Address("localhost:0").ToString(), "127.0.0.1:0");
  EXPECT_EQ(Address("[::1]:65535").ToString(), "[::1]:65535");
  EXPECT_EQ(Address("unix:/tmp/a.sock").ToString(), "unix:/tmp/a.sock");
  EXPECT_THAT(Address("unix:a.sock").ToString(),
              MatchesRegex("unix:/.*a.sock"));
}

TEST(ListenAddressTest, RefusesWhatOthersCanReach) {
  for (const char* text : {"0.0.0.0:7700", "10.0.0.3:0", "[::]:7700",
                           "example.org:80", ":7700", "127.0.0.2.org:1"}) {
    EXPECT_THAT(ListenAddress::Parse(text), StatusIs(kInvalid, "TLS")) << text;
    EXPECT_THAT(ListenAddress::Parse(text), StatusIs(kInvalid, text));
  }
}

TEST(ListenAddressTest, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x",
                           "127.0.0.1:-1", "127.0.0.1:65536", "unix:"}) {
    EXPECT_THAT(ListenAddress::Parse(text), StatusIs(kInvalid, "rite")) << text;
  }
}

TEST(ListenAddressTest, SaysWhenASocketsPathIsTooLong) {
  const std::string longest = "/tmp/" + std::string(102, 'a');
  EXPECT_OK(ListenAddress::Parse("unix:" + longest));
  EXPECT_THAT(ListenAddress::Parse("unix:" + longest + "a"),
              StatusIs(kInvalid, "has 108 bytes, and the system allows 107"));
}

TEST(ListenerTest, ServesAtAPortOfTheSystemsChoice) {
  const TempDir dir;
  const std::string file = dir / "endpoints/storage";
  ASSERT_OK_AND_ASSIGN(const auto listener,
                       Listener::Start({.address = Address("127.0.0.1:0"),
                                        .services = {},
                                        .endpoint_file = file}));

  EXPECT_THAT(listener->endpoint(), MatchesRegex("127.0.0.1:[1-9][0-9]*"));
  EXPECT_THAT(ReadEndpointFile(file), IsOkAndHolds(listener->endpoint()));
  EXPECT_THAT(Health(listener->endpoint()), IsOkAndHolds(kServing));
  EXPECT_THAT(ListServices(listener->endpoint()),
              IsOkAndHolds(HasSubstr("grpc.reflection.v1alpha")));

  listener->Shutdown(absl::Seconds(1));
  listener->Shutdown(absl::Seconds(1));
  EXPECT_THAT(ReadEndpointFile(file), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Health(listener->endpoint()),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST(ListenerTest, ServesAtASocketOfTheUserAlone) {
  const TempDir dir;
  const std::string path = dir / "run/storage.sock";
  ASSERT_OK_AND_ASSIGN(const auto listener,
                       Listener::Start({.address = Address("unix:" + path)}));

  EXPECT_EQ(listener->endpoint(), "unix:" + path);
  EXPECT_THAT(Health(listener->endpoint()), IsOkAndHolds(kServing));
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(ListenerTest, AnAddressHasOneServer) {
  const TempDir dir;
  for (const std::string& text :
       {std::string("127.0.0.1:0"), "unix:" + (dir / "a.sock")}) {
    ASSERT_OK_AND_ASSIGN(const auto first,
                         Listener::Start({.address = Address(text)}));

    EXPECT_THAT(
        Listener::Start({.address = Address(first->endpoint())}),
        StatusIs(absl::StatusCode::kFailedPrecondition, first->endpoint()));
    EXPECT_THAT(Health(first->endpoint()), IsOkAndHolds(kServing));
  }
}

TEST(ListenerTest, ReplacesTheSocketOfAKilledServer) {
  const TempDir dir;
  const std::string path = dir / "a.sock";
  const int dead = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.c_str(), path.size());
  ASSERT_EQ(bind(dead, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  close(dead);  // Leaves the file, as a kill does.

  ASSERT_OK_AND_ASSIGN(const auto listener,
                       Listener::Start({.address = Address("unix:" + path)}));

  EXPECT_THAT(Health(listener->endpoint()), IsOkAndHolds(kServing));
}

TEST(ListenerTest, NeverRemovesAFileThatIsNoSocket) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomically(dir / "a", "precious"));

  EXPECT_THAT(Listener::Start({.address = Address("unix:" + (dir / "a"))}),
              StatusIs(absl::StatusCode::kFailedPrecondition, "not a socket"));

  EXPECT_THAT(ReadFile(dir / "a"), IsOkAndHolds(std::string("precious")));
}

}  // namespace
}  // namespace headstart
