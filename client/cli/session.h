// What every command works with: its flags, the cluster, and where to print.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "client/cli/print.h"
#include "client/client.h"

namespace headstart::client {

// The flags of all commands; each command reads its own (commands.cc says
// which those are, and what they mean).
struct Flags {
  std::string data = "./headstart-data";
  std::string server;
  std::string format = "table";
  bool quiet = false;

  std::string name;  // The resource that the command is about.
  std::string file;
  bool watch = false;
  bool dry_run = false;
  int64_t best = 0;
  std::string state;
  std::string output;
  std::string report_format;  // Of reports, in place of `format`.
  bool include_buffers = true;
  bool include_masks = false;
  bool force = false;
  std::string reason;
  std::string from;
  int64_t epochs = 0;
  std::vector<int64_t> seeds;
  double dead_share_min = 0;
  std::vector<std::string> datasets;
  std::string slots;
  std::string plugins;
  std::string listen;
  std::string metrics_ports;
  bool start_anew = false;
};

// The flags with which another command asks the same cluster: " --data DIR", or
// nothing where the default is meant.
std::string ClusterFlags(const Flags& flags);

// A command was used wrongly: exit code 2 rather than 1.
absl::Status UsageError(absl::string_view message);
bool IsUsageError(const absl::Status& status);

// One use of the program. One thread at a time.
class Session {
 public:
  Session(Flags flags, PrinterOptions printer_options, Clock& clock);

  const Flags& flags() const { return flags_; }
  Printer& printer() { return printer_; }
  Clock& clock() { return clock_; }

  // The cluster of --server, or of --data; connects at the first call.
  absl::StatusOr<Client*> FindClient();

  // studies/1/winner/epochs/5 and studies/1/winner with the winner's own name,
  // which the scheduler knows; every other name as it is.
  absl::StatusOr<std::string> Resolve(const std::string& name);

  // What the command answers: JSON, or else `lines` for people.
  void Answer(const google::protobuf::Message& message,
              const std::vector<std::string>& lines);

 private:
  const Flags flags_;
  Printer printer_;
  Clock& clock_;
  std::unique_ptr<Client> client_;
};

}  // namespace headstart::client
