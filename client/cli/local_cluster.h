// A whole cluster on this machine: scheduler, storage and a worker as children.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/file.h"
#include "client/cli/print.h"
#include "client/cli/supervisor.h"

namespace headstart::client {

struct LocalClusterOptions {
  // Made if need be.
  std::string data;
  // "4": so many slots of one thread; "cpu:2,cpu:4": as the worker takes it;
  // empty: a slot per core, at most 8.
  std::string slots;
  // Where clients connect; empty: a Unix socket.
  std::string listen;
  // Folders with data sets, absolute.
  std::vector<std::string> datasets;
  // Folder with plug-ins; empty: none.
  std::string plugins;
  // The first of three ports for metrics, or nullopt for free ones.
  std::optional<int> metrics_port;
  // Where the programs lie.
  std::string programs_folder = ExecutableFolder();
};

// Slots as the worker takes them. InvalidArgument, naming --slots.
absl::StatusOr<std::string> SlotsOf(const std::string& text);

// "auto" or a port that leaves room for three, as --metrics-ports has it; empty
// gives `default_port`. InvalidArgument, naming the flag.
absl::StatusOr<std::optional<int>> MetricsPortOf(
    const std::string& text, std::optional<int> default_port);

// What a person reads after Ctrl-C, while a cluster drains.
void SayStopping(Printer& printer);

// The running cluster of a data folder:
//
//   DIR/lock         held by this process, so that there is one at a time
//   DIR/scheduler/   DIR/storage/   DIR/worker/     each server's own
//   DIR/run/         Unix sockets
//   DIR/endpoints/   a file per listener with its address
//   DIR/log/         a file per program
//
// Sockets lie elsewhere, in a folder under /tmp, when DIR's name is too long
// for them.
class LocalCluster {
 public:
  // Returns when every server can be reached.
  //   FailedPrecondition  another process holds the data folder, or a server
  //                       does not start; the message says what to do.
  //   Cancelled           `stop` was stopped before that.
  // `printer` and `stop` outlive the cluster. Stops `stop` if it must give up
  // later; status() then says why.
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Start(
      const LocalClusterOptions& options, Printer& printer, StopEvent& stop);

  // Drains and ends the servers: worker, scheduler, storage.
  ~LocalCluster();

  LocalCluster(const LocalCluster&) = delete;
  LocalCluster& operator=(const LocalCluster&) = delete;

  absl::Status status() const { return supervisor_->status(); }

  // As grpc::CreateChannel takes it.
  const std::string& server() const { return server_; }

  // Absolute.
  const std::string& data() const { return data_; }

  // What runs where, for people.
  std::vector<std::string> Lines() const;

 private:
  LocalCluster() = default;

  std::string data_;
  std::string server_;
  std::string slots_;
  std::vector<std::string> datasets_;
  std::string own_socket_folder_;  // To remove; empty when it is DIR/run.
  std::unique_ptr<FolderLock> lock_;
  std::unique_ptr<Supervisor> supervisor_;
};

}  // namespace headstart::client
