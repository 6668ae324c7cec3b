// Listener: a gRPC server on loopback or a Unix socket.
#pragma once

#include <grpcpp/impl/codegen/service_type.h>
#include <grpcpp/server.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace headstart {

// Where to listen: a Unix socket, or a port of the loopback interface.
struct ListenAddress {
  std::string socket_path;  // Absolute; empty for TCP.
  std::string host;         // "127.0.0.1" or "[::1]"; empty for a socket.
  int port = 0;             // 0: the system chooses.

  // Reads "unix:/path", "127.0.0.1:7700", "localhost:0" or "[::1]:7700".
  //
  // InvalidArgument: written otherwise; or a socket path longer than the system
  //   allows; or an address that other machines can reach, which no server of
  //   this release binds, since it has neither TLS nor tokens.
  static absl::StatusOr<ListenAddress> Parse(absl::string_view text);

  // As grpc::CreateChannel takes it.
  std::string ToString() const;
};

struct ListenerOptions {
  ListenAddress address;
  std::vector<grpc::Service*> services;  // Outlive the listener.

  // The file that tells others endpoint(), written once it can be reached and
  // removed at Shutdown. A killed process leaves its file behind: who waits
  // for a start removes an old file first. Empty: no file.
  std::string endpoint_file;
};

// A running gRPC server with some services, health checks and reflection.
// Takes messages of up to 4 MiB and sends some of up to 64 MiB: a training with
// many runs and epochs is one long answer.
//
// A Unix socket belongs to the user alone (mode 0600); one that a killed
// process left behind is replaced. Any thread may call.
class Listener {
 public:
  // FailedPrecondition: another server listens there. Others: the address or
  // the endpoint file cannot be used.
  static absl::StatusOr<std::unique_ptr<Listener>> Start(
      ListenerOptions options);

  // Shutdown, with no grace.
  ~Listener();

  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // The address with the port that was chosen, as grpc::CreateChannel takes it.
  const std::string& endpoint() const { return endpoint_; }

  // For calls inside the process.
  grpc::Server& server() { return *server_; }

  // Refuses new calls (health says NOT_SERVING), lets those in hand finish,
  // cancels what is left after `grace`, and returns when no service is in use.
  // Repeating it changes nothing.
  void Shutdown(absl::Duration grace);

 private:
  Listener() = default;

  ListenerOptions options_;
  std::string endpoint_;
  std::unique_ptr<grpc::Server> server_;
};

// The endpoint in the file that a Listener (or Telemetry) wrote. NotFound while
// there is none.
absl::StatusOr<std::string> ReadEndpointFile(const std::string& path);

// Makes the folder and writes the file; for Listener and Telemetry.
absl::Status WriteEndpointFile(const std::string& path,
                               absl::string_view endpoint);

}  // namespace headstart
