#include "client/cli/local_cluster.h"

#include <sched.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/net/listener.h"
#include "base/status_macros.h"
#include "client/cli/shell_word.h"
#include "client/cli/units.h"

namespace headstart::client {
namespace {

// As the worker has it.
constexpr int64_t kSlotsMax = 64;
constexpr int64_t kDefaultSlotsMax = 8;

// Cores that this process may use.
int64_t Cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

std::string OneThreadSlots(int64_t count) {
  return absl::StrJoin(std::vector<std::string>(count, "cpu:1"), ",");
}

// Where sockets go: DIR/run, or a new folder when that name is too long.
absl::StatusOr<std::string> SocketFolder(const std::string& data) {
  const std::string folder = absl::StrCat(data, "/run");
  const std::string longest = absl::StrCat(folder, "/scheduler-worker.sock");
  if (longest.size() < sizeof(sockaddr_un::sun_path)) {
    HS_RETURN_IF_ERROR(MakeFolders(folder));
    return folder;
  }
  std::string pattern = "/tmp/headstart-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) {
    return ErrnoStatus(errno, "making a folder for sockets in /tmp");
  }
  return pattern;
}

}  // namespace

absl::StatusOr<std::string> SlotsOf(const std::string& text) {
  if (text.empty()) return OneThreadSlots(std::min(Cores(), kDefaultSlotsMax));
  // Anything but a number is the worker's to judge.
  if (text.find_first_not_of("0123456789") != std::string::npos) return text;
  int64_t count = 0;
  if (!absl::SimpleAtoi(text, &count) || count < 1 || count > kSlotsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("--slots ", text, ": must be a number from 1 to ",
                     kSlotsMax, ", or a list such as cpu:4,cpu:4."));
  }
  return OneThreadSlots(count);
}

absl::StatusOr<std::optional<int>> MetricsPortOf(
    const std::string& text, std::optional<int> default_port) {
  if (text.empty()) return default_port;
  if (text == "auto") return std::nullopt;
  int port = 0;
  if (!absl::SimpleAtoi(text, &port) || port < 1 || port > 65533) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--metrics-ports ", text,
        ": must be auto or a port from 1 to 65533; the two after it are used "
        "too."));
  }
  return port;
}

void SayStopping(Printer& printer) {
  // Below the "^C" that the terminal wrote.
  if (printer.is_live()) printer.Progress("");
  printer.Progress(
      "Stopping: finished epochs are stored, those in training are trained "
      "again later.");
  printer.Progress("Ctrl-C again ends at once.");
}

absl::StatusOr<std::unique_ptr<LocalCluster>> LocalCluster::Start(
    const LocalClusterOptions& options, Printer& printer, StopEvent& stop) {
  auto cluster = std::unique_ptr<LocalCluster>(new LocalCluster());
  HS_RETURN_IF_ERROR(MakeFolders(options.data));
  std::error_code error;
  cluster->data_ = std::filesystem::canonical(options.data, error);
  if (error) {
    return ErrnoStatus(error.value(), absl::StrCat("finding ", options.data));
  }
  const std::string& data = cluster->data_;
  absl::StatusOr<std::unique_ptr<FolderLock>> lock = FolderLock::Acquire(data);
  if (absl::IsFailedPrecondition(lock.status())) {
    return absl::FailedPreconditionError(absl::StrCat(
        lock.status().message(),
        " If it is another headstart up or run, hand it the study from here: "
        "headstart studies create -f FILE --watch --data ",
        ShellWord(data)));
  }
  HS_RETURN_IF_ERROR(lock.status());
  cluster->lock_ = *std::move(lock);
  const std::string endpoints = absl::StrCat(data, "/endpoints");
  const std::string log = absl::StrCat(data, "/log");
  HS_RETURN_IF_ERROR(MakeFolders(endpoints));
  HS_RETURN_IF_ERROR(MakeFolders(log));
  HS_ASSIGN_OR_RETURN(const std::string sockets, SocketFolder(data));
  if (sockets != absl::StrCat(data, "/run")) {
    cluster->own_socket_folder_ = sockets;
  }
  HS_ASSIGN_OR_RETURN(cluster->slots_, SlotsOf(options.slots));
  cluster->datasets_ = options.datasets;

  const auto socket = [&](absl::string_view name) {
    return absl::StrCat("unix:", sockets, "/", name, ".sock");
  };
  // Number 0 to 2, in the order of the ports.
  const auto server = [&](const std::string& part, int number,
                          std::vector<std::string> flags) {
    ChildProgram child;
    child.name = absl::StrCat("headstart-", part);
    child.command = {
        absl::StrCat(options.programs_folder, "/", child.name),
        "--data",
        absl::StrCat(data, "/", part),
        "--endpoints",
        endpoints,
        "--metrics-listen",
        absl::StrCat("127.0.0.1:", options.metrics_port
                                       ? *options.metrics_port + number
                                       : 0)};
    child.command.insert(child.command.end(), flags.begin(), flags.end());
    child.log_file = absl::StrCat(log, "/", child.name, ".log");
    child.ready_files = {absl::StrCat(endpoints, "/metrics-", part)};
    return child;
  };

  ChildProgram storage = server("storage", 1, {"--listen", socket("storage")});
  storage.ready_files.push_back(absl::StrCat(endpoints, "/storage"));
  ChildProgram scheduler =
      server("scheduler", 0,
             {"--listen",
              options.listen.empty() ? socket("scheduler") : options.listen,
              "--worker-listen", socket("scheduler-worker"), "--storage",
              socket("storage")});
  scheduler.ready_files.push_back(absl::StrCat(endpoints, "/scheduler"));
  scheduler.ready_files.push_back(absl::StrCat(endpoints, "/scheduler-worker"));
  ChildProgram worker =
      server("worker", 2,
             {"--scheduler", socket("scheduler-worker"), "--name",
              "workers/local", "--slots", cluster->slots_});
  for (const std::string& folder : options.datasets) {
    worker.command.insert(worker.command.end(), {"--datasets", folder});
  }
  if (!options.plugins.empty()) {
    worker.command.insert(worker.command.end(),
                          {"--plugins", options.plugins});
  }

  for (const ChildProgram* const program : {&storage, &scheduler, &worker}) {
    if (access(program->command[0].c_str(), X_OK) != 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          "there is no program ", program->command[0],
          ". It belongs beside headstart: build or copy it there."));
    }
  }
  SupervisorOptions supervised;
  supervised.children = {std::move(storage), std::move(scheduler),
                         std::move(worker)};
  supervised.ready_folder = endpoints;
  supervised.say = [&printer](const std::string& line) {
    printer.Progress(line);
  };
  HS_ASSIGN_OR_RETURN(cluster->supervisor_,
                      Supervisor::Start(std::move(supervised), stop));
  HS_RETURN_IF_ERROR(cluster->supervisor_->AwaitReady());
  HS_ASSIGN_OR_RETURN(cluster->server_,
                      ReadEndpointFile(absl::StrCat(endpoints, "/scheduler")));
  return cluster;
}

LocalCluster::~LocalCluster() {
  supervisor_.reset();
  if (own_socket_folder_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(own_socket_folder_, ignored);
}

std::vector<std::string> LocalCluster::Lines() const {
  const auto metrics = [&](const std::string& part) {
    const auto endpoint =
        ReadEndpointFile(absl::StrCat(data_, "/endpoints/metrics-", part));
    return endpoint.ok() ? absl::StrCat("http://", *endpoint, "/metrics") : "-";
  };
  return FieldLines(
      {{"data", data_},
       {"logs", absl::StrCat(data_, "/log")},
       {"clients connect to", server_},
       {"slots", slots_},
       {"data sets in", datasets_.empty() ? "no folder; see --datasets"
                                          : absl::StrJoin(datasets_, ", ")},
       {"scheduler metrics", metrics("scheduler")},
       {"storage metrics", metrics("storage")},
       {"worker metrics", metrics("worker")}});
}

}  // namespace headstart::client
