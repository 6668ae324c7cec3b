// headstart-worker: one agent per machine.
//
// Threads:
//   main           flags and wiring, then waits for the end
//   agent          the Synchronize loop; holds the picture of the scheduler
//   slot (each)    all state of a slot; talks to its trainer
//   storage (each) a slot's fetches and uploads, one after another
//   signal         turns SIGTERM and SIGINT into an event
//   metrics        read counters for the port
//   gRPC's own     move bytes; none of our code runs there
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "base/log.h"
#include "base/names.h"
#include "base/net/shutdown_signal.h"
#include "base/net/telemetry.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "worker/agent/agent.h"
#include "worker/agent/slot_spec.h"

namespace headstart::worker {
namespace {

struct Flags {
  AgentOptions agent;
  std::string slots = "1";
  std::string data_folder;
  std::string endpoints_folder;
  std::string metrics_listen = "127.0.0.1:0";
  std::string trainer_timeout = "10m";
};

// workers/ and the host's name, with what no name may hold replaced.
std::string DefaultName() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  std::string id = host;
  for (char& c : id) {
    if (!isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '.') {
      c = '-';
    }
  }
  if (id.empty()) id = "worker";
  return WorkerName{id.substr(0, 63)}.ToString();
}

std::string OurTrainer() { return ExecutableFolder() + "/headstart-trainer"; }

void Declare(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", std::string(kVersion));
  auto* scheduler = app.add_option(
      "--scheduler", flags.agent.scheduler_address,
      "The scheduler's worker listener: host:port or unix:/path.");
  auto* endpoints_from = app.add_option(
      "--endpoints-from", flags.agent.endpoints_from,
      "Instead of --scheduler: the folder where the scheduler wrote its file "
      "scheduler-worker. Read again when the scheduler does not answer.");
  scheduler->excludes(endpoints_from);
  app.add_option("--name", flags.agent.name,
                 "This worker's name. Two agents on one machine need two "
                 "names; one that takes a name ends the one that has it.")
      ->capture_default_str();
  app.add_option("--slots", flags.slots,
                 "Room for trainers: the number of one-thread CPU slots, or a "
                 "list of cpu:<threads> and cuda:<GPU>, such as "
                 "cpu:1,cpu:4,cuda:0.")
      ->capture_default_str();
  app.add_option("--datasets", flags.agent.dataset_folders,
                 "A folder with data sets. May be repeated.");
  app.add_option("--plugins", flags.agent.plugin_folder,
                 "A folder with plug-ins (*.so): models and data sets of your "
                 "own. It is read when the worker starts.");
  app.add_option("--data", flags.data_folder,
                 "This agent's own folder: its lock, its trainers' logs, and "
                 "cache/, decoded images, which may be deleted at any time.")
      ->required();
  app.add_option("--endpoints", flags.endpoints_folder,
                 "Folder for the file metrics-worker, which says where "
                 "/metrics is served.");
  app.add_option("--metrics-listen", flags.metrics_listen,
                 "host:port for /metrics, loopback only; port 0 lets the "
                 "system choose.")
      ->capture_default_str();
  app.add_option(
         "--slabs", flags.agent.slab_count,
         "Slabs per slot, each as large as what an epoch stores: one to "
         "train in, the others for epochs that may wait for storage "
         "before training does.")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--trainer", flags.agent.trainer_program,
                 "The trainer's program.")
      ->capture_default_str();
  app.add_option("--trainer-timeout", flags.trainer_timeout,
                 "A trainer at work that says nothing for so long is killed, "
                 "and its attempt fails. At least 10s; longer than any batch.")
      ->capture_default_str();
  app.add_flag("--isolate-trials", flags.agent.isolate_trials,
               "Start a fresh trainer for every attempt.");
  app.set_config("--config", "", "Read flags from this file.");
  app.add_flag_callback(
      "--print-config",
      [&app] {
        std::cout << app.config_to_str(/*default_also=*/true);
        throw CLI::Success();
      },
      "Print all flags and their values, and end.");
}

absl::Status Run(Flags flags) {
  if (flags.agent.scheduler_address.empty() &&
      flags.agent.endpoints_from.empty()) {
    return absl::InvalidArgumentError(
        "One of --scheduler and --endpoints-from is needed: where the "
        "scheduler is.");
  }
  HS_RETURN_IF_ERROR(
      Annotate(WorkerName::Parse(flags.agent.name).status(), "--name"));
  HS_ASSIGN_OR_RETURN(flags.agent.slots, ParseSlots(flags.slots));
  if (!absl::ParseDuration(flags.trainer_timeout,
                           &flags.agent.trainer_timeout) ||
      flags.agent.trainer_timeout < absl::Seconds(10)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--trainer-timeout: \"", flags.trainer_timeout,
                     "\" is no time of 10s or more, such as 10m."));
  }
  if (access(flags.agent.trainer_program.c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat(
        "There is no program ", flags.agent.trainer_program,
        ". Build headstart-trainer, or say with --trainer where it is."));
  }
  if (const std::string& folder = flags.agent.plugin_folder;
      !folder.empty() && !std::filesystem::is_directory(folder)) {
    return absl::NotFoundError(absl::StrCat("--plugins: there is no folder ",
                                            folder,
                                            ". Make it, or leave the "
                                            "flag out."));
  }
  HS_ASSIGN_OR_RETURN(const auto lock, FolderLock::Acquire(flags.data_folder));
  flags.agent.data_folder = flags.data_folder;

  ShutdownSignal signal;
  Telemetry telemetry;
  HS_ASSIGN_OR_RETURN(
      const auto agent,
      Agent::Start(flags.agent, telemetry, [&] { signal.event().Stop(); }));
  HS_RETURN_IF_ERROR(telemetry.Serve(
      flags.metrics_listen, flags.endpoints_folder.empty()
                                ? ""
                                : flags.endpoints_folder + "/metrics-worker"));
  signal.Wait();
  return agent->Stop();
}

int Main(int argc, char** argv) {
  Flags flags;
  flags.agent.name = DefaultName();
  flags.agent.trainer_program = OurTrainer();
  CLI::App app("Trains what the scheduler assigns, and stores every epoch.");
  Declare(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const absl::Status status = Run(std::move(flags));
  if (status.ok()) return 0;
  std::cerr << "headstart-worker: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

}  // namespace
}  // namespace headstart::worker

int main(int argc, char** argv) { return headstart::worker::Main(argc, argv); }
