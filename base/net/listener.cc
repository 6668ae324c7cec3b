#include "base/net/listener.h"

#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace headstart {
namespace {

constexpr int kRequestBytesMax = 4 << 20;
// As much as client/ takes.
constexpr int kAnswerBytesMax = 64 << 20;
constexpr int kPortMax = 65535;
// One byte of sun_path ends the path.
constexpr size_t kSocketPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;

absl::StatusOr<ListenAddress> ParseSocket(absl::string_view text,
                                          absl::string_view path) {
  if (path.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", text, "\": no path. Write unix:/path/of/the/socket."));
  }
  std::error_code error;
  ListenAddress address;
  address.socket_path = std::filesystem::absolute(std::string(path), error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\": ", error.message(), "."));
  }
  if (address.socket_path.size() > kSocketPathBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"unix:", address.socket_path, "\": the path of the Unix socket has ",
        address.socket_path.size(), " bytes, and the system allows ",
        kSocketPathBytesMax, ". Choose a folder with a shorter path."));
  }
  return address;
}

// Ends the start when a server answers at the socket; removes what a killed
// one left behind.
absl::Status MakeRoomForSocket(const std::string& path) {
  HS_RETURN_IF_ERROR(
      MakeFolders(std::filesystem::path(path).parent_path().string()));
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(errno, absl::StrCat("looking at ", path));
  }
  if (!S_ISSOCK(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " is there and is not a socket. Remove it, or choose another."));
  }
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return ErrnoStatus(errno, "making a socket");
  absl::Cleanup close_probe = [probe] { close(probe); };
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.c_str(), path.size());
  if (connect(probe, reinterpret_cast<sockaddr*>(&name), sizeof(name)) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("another server listens at unix:", path,
                     ". Stop it, or choose another address."));
  }
  return RemoveFile(path);
}

}  // namespace

absl::StatusOr<ListenAddress> ListenAddress::Parse(absl::string_view text) {
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "unix:")) return ParseSocket(text, rest);

  const size_t colon = text.rfind(':');
  int port = 0;
  if (colon == absl::string_view::npos ||
      !absl::SimpleAtoi(text.substr(colon + 1), &port) || port < 0 ||
      port > kPortMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", text,
        "\" is no address to listen at: write unix:/path or 127.0.0.1:port, "
        "with a port from 0 (the system chooses) to ",
        kPortMax, "."));
  }
  const absl::string_view host = text.substr(0, colon);
  if (host == "127.0.0.1" || host == "localhost") {
    return ListenAddress{.host = "127.0.0.1", .port = port};
  }
  if (host == "[::1]") return ListenAddress{.host = "[::1]", .port = port};
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", text,
      "\" may be reached from other machines, and this release has neither TLS "
      "nor tokens. Listen at 127.0.0.1, localhost, [::1] or unix:/path, and "
      "use an SSH tunnel from elsewhere."));
}

std::string ListenAddress::ToString() const {
  if (!socket_path.empty()) return absl::StrCat("unix:", socket_path);
  return absl::StrCat(host, ":", port);
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Start(
    ListenerOptions options) {
  static std::once_flag once;
  std::call_once(once, [] {
    // Never undone: the library's own end may wait ten seconds for a thread
    // that polls a connection already closed.
    grpc_init();
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });

  const std::string& socket_path = options.address.socket_path;
  if (!socket_path.empty()) HS_RETURN_IF_ERROR(MakeRoomForSocket(socket_path));

  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kRequestBytesMax);
  builder.SetMaxSendMessageSize(kAnswerBytesMax);
  // Otherwise a second server could take the same port, and half the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  int port = 0;
  builder.AddListeningPort(options.address.ToString(),
                           grpc::InsecureServerCredentials(), &port);
  for (grpc::Service* service : options.services) {
    builder.RegisterService(service);
  }
  auto listener = std::unique_ptr<Listener>(new Listener);
  listener->server_ = builder.BuildAndStart();
  if (listener->server_ == nullptr || port <= 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot listen at ", options.address.ToString(),
        ": another server has it, or it may not be used. Choose another "
        "address; port 0 lets the system choose."));
  }
  if (socket_path.empty()) options.address.port = port;
  listener->endpoint_ = options.address.ToString();
  listener->options_ = std::move(options);

  const ListenerOptions& kept = listener->options_;
  if (!kept.address.socket_path.empty() &&
      chmod(kept.address.socket_path.c_str(), 0600) != 0) {
    return ErrnoStatus(
        errno, absl::StrCat("setting the mode of ", kept.address.socket_path));
  }
  if (!kept.endpoint_file.empty()) {
    HS_RETURN_IF_ERROR(
        WriteEndpointFile(kept.endpoint_file, listener->endpoint_));
  }
  HS_LOG(kInfo, "listening endpoint={}", listener->endpoint_);
  return listener;
}

Listener::~Listener() {
  if (server_ != nullptr) Shutdown(absl::ZeroDuration());
}

void Listener::Shutdown(absl::Duration grace) {
  if (!options_.endpoint_file.empty()) {
    if (const absl::Status removed = RemoveFile(options_.endpoint_file);
        !removed.ok()) {
      HS_LOG(kWarning, "endpoint file stays error={}", removed);
    }
  }
  if (server_->GetHealthCheckService() != nullptr) {
    server_->GetHealthCheckService()->SetServingStatus(false);
  }
  server_->Shutdown(std::chrono::system_clock::now() +
                    absl::ToChronoMilliseconds(grace));
  server_->Wait();
}

absl::StatusOr<std::string> ReadEndpointFile(const std::string& path) {
  HS_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  return std::string(absl::StripAsciiWhitespace(text));
}

// No newline: the file can be handed to anything as it is.
absl::Status WriteEndpointFile(const std::string& path,
                               absl::string_view endpoint) {
  HS_RETURN_IF_ERROR(
      MakeFolders(std::filesystem::path(path).parent_path().string()));
  return WriteFileAtomically(path, endpoint);
}

}  // namespace headstart
