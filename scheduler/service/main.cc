// headstart-scheduler: decides what trains where, and remembers it.
//
// Threads:
//   engine      all state; decides, appends to the journal, answers
//   tick        wakes the engine ten times a second for leases and polls
//   gRPC        two or so per processor: translate, hold no state, never wait
//   storage     the StorageLink: states references, again and again
//   answers     replays and reports
//   telemetry   serves /metrics from atomics and the engine's last gauges
//   signal      waits for SIGTERM and SIGINT
//   RocksDB     two for background work
#include <sys/random.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/net/listener.h"
#include "base/net/shutdown_signal.h"
#include "base/net/telemetry.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "scheduler/journal/rocksdb_journal.h"
#include "scheduler/service/admin_service.h"
#include "scheduler/service/answer_thread.h"
#include "scheduler/service/comparison_service.h"
#include "scheduler/service/engine.h"
#include "scheduler/service/storage_link.h"
#include "scheduler/service/training_service.h"
#include "scheduler/service/tuning_service.h"
#include "scheduler/service/worker_service.h"

namespace headstart::scheduler {
namespace {

// All that waits has been answered before: this is for what is in hand, and for
// clients that are slow to close a connection they do not use.
constexpr absl::Duration kDrainGrace = absl::Seconds(1);

struct Options {
  std::string data;
  std::string listen = "127.0.0.1:7700";
  std::string worker_listen = "127.0.0.1:7704";
  std::string metrics_listen = "127.0.0.1:7701";
  std::string storage;
  std::string endpoints;
  absl::Duration lease_duration = absl::Seconds(30);
  uint64_t free_bytes_floor = uint64_t{256} << 20;
  bool print_config = false;
};

void AddFlags(CLI::App& app, Options& options) {
  app.set_version_flag("--version", kVersion);
  app.add_option("--data", options.data,
                 "Folder of the journal; made when missing")
      ->required();
  app.add_option("--listen", options.listen,
                 "Where users' calls come in: 127.0.0.1:PORT, [::1]:PORT or "
                 "unix:/PATH; port 0 lets the system choose")
      ->capture_default_str();
  app.add_option("--worker-listen", options.worker_listen,
                 "Where workers' calls come in, likewise")
      ->capture_default_str();
  app.add_option("--metrics-listen", options.metrics_listen,
                 "Where /metrics is served, as 127.0.0.1:PORT")
      ->capture_default_str();
  app.add_option("--storage", options.storage,
                 "Where headstart-storage listens; without it, what "
                 "{--endpoints}/storage says");
  app.add_option("--endpoints", options.endpoints,
                 "Folder in which each server writes where it listens");
  app.add_option_function<std::string>(
         "--lease-duration",
         [&options](const std::string& text) {
           if (!absl::ParseDuration(text, &options.lease_duration) ||
               options.lease_duration < absl::Seconds(1) ||
               options.lease_duration > absl::Hours(1)) {
             throw CLI::ValidationError(absl::StrCat(
                 "--lease-duration=", text,
                 ": must be from 1s to 1h. Workers renew at a third of it."));
           }
         },
         "How long an attempt goes on unheard of, 1s to 1h")
      ->default_str("30s");
  app.add_option("--free-bytes-floor", options.free_bytes_floor,
                 "Below this much free space nothing that grows the journal "
                 "is taken; bytes, or with a unit such as 256MiB")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true))
      ->default_str("256MiB");
  app.add_flag("--print-config", options.print_config,
               "Print the value of every flag and end");
}

void PrintConfig(const Options& options) {
  std::cout << "--data=" << options.data << "\n--listen=" << options.listen
            << "\n--worker-listen=" << options.worker_listen
            << "\n--metrics-listen=" << options.metrics_listen
            << "\n--storage=" << options.storage
            << "\n--endpoints=" << options.endpoints << "\n--lease-duration="
            << absl::FormatDuration(options.lease_duration)
            << "\n--free-bytes-floor=" << options.free_bytes_floor << "\n";
}

// A name that no other cluster has.
std::string DrawClusterId() {
  std::string bytes(16, '\0');
  HS_CHECK_EQ(getrandom(bytes.data(), bytes.size(), 0), 16);
  return absl::BytesToHexString(bytes);
}

std::string EndpointFile(const Options& options, const std::string& name) {
  return options.endpoints.empty() ? ""
                                   : absl::StrCat(options.endpoints, "/", name);
}

absl::StatusOr<ListenAddress> ParseAddress(const std::string& flag,
                                           const std::string& text) {
  absl::StatusOr<ListenAddress> address = ListenAddress::Parse(text);
  if (address.ok()) return address;
  return Annotate(address.status(), absl::StrCat(flag, "=", text));
}

absl::Status Serve(const Options& options, ShutdownSignal& signal) {
  if (options.storage.empty() && options.endpoints.empty()) {
    return absl::InvalidArgumentError(
        "where storage is must be known: give --storage=ADDRESS, or "
        "--endpoints=DIR with a file DIR/storage that says it");
  }
  HS_ASSIGN_OR_RETURN(const ListenAddress address,
                      ParseAddress("--listen", options.listen));
  HS_ASSIGN_OR_RETURN(const ListenAddress worker_address,
                      ParseAddress("--worker-listen", options.worker_listen));
  HS_ASSIGN_OR_RETURN(const std::unique_ptr<FolderLock> lock,
                      FolderLock::Acquire(options.data));
  HS_ASSIGN_OR_RETURN(
      const std::unique_ptr<RocksdbJournal> journal,
      RocksdbJournal::Open({.folder = absl::StrCat(options.data, "/journal"),
                            .new_cluster_id = DrawClusterId()}));
  Telemetry telemetry;
  HS_ASSIGN_OR_RETURN(
      const std::unique_ptr<Engine> engine,
      Engine::Start(
          {.lease_duration = options.lease_duration,
           .free_bytes_floor = static_cast<int64_t>(options.free_bytes_floor),
           .folder = options.data,
           .stop_process = [](const absl::Status&) { std::_Exit(1); }},
          *journal, Clock::Real(), telemetry));

  StorageLink storage({.address = options.storage,
                       .endpoint_file = EndpointFile(options, "storage")},
                      *engine);
  AnswerThread answers;
  TuningService tuning(*engine, storage, answers);
  TrainingService training(*engine, storage);
  ComparisonService comparison(*engine, storage, answers);
  AdminService admin(*engine, storage);
  WorkerService worker(*engine, storage);

  HS_RETURN_IF_ERROR(telemetry.Serve(
      options.metrics_listen, EndpointFile(options, "metrics-scheduler")));
  // Users' last: who waits for its endpoint file finds all the others.
  HS_ASSIGN_OR_RETURN(const std::unique_ptr<Listener> worker_listener,
                      Listener::Start({.address = worker_address,
                                       .services = {&worker},
                                       .endpoint_file = EndpointFile(
                                           options, "scheduler-worker")}));
  HS_ASSIGN_OR_RETURN(
      const std::unique_ptr<Listener> listener,
      Listener::Start({.address = address,
                       .services = {&tuning, &training, &comparison, &admin},
                       .endpoint_file = EndpointFile(options, "scheduler")}));
  storage.Start();
  HS_LOG(kInfo, "scheduler serves users={} workers={} metrics={} data={}",
         listener->endpoint(), worker_listener->endpoint(),
         telemetry.endpoint(), options.data);

  signal.Wait();

  HS_LOG(kInfo, "scheduler drains");
  storage.Stop();
  engine->Drain();
  listener->Shutdown(kDrainGrace);
  worker_listener->Shutdown(kDrainGrace);
  engine->Stop();
  HS_LOG(kInfo, "scheduler ends events={}", journal->last_sequence());
  return absl::OkStatus();
}

}  // namespace
}  // namespace headstart::scheduler

int main(int argc, char** argv) {
  headstart::ShutdownSignal signal;
  headstart::scheduler::Options options;
  CLI::App app("headstart-scheduler: decides what trains where.");
  headstart::scheduler::AddFlags(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (options.print_config) {
    headstart::scheduler::PrintConfig(options);
    return 0;
  }
  const absl::Status status = headstart::scheduler::Serve(options, signal);
  if (!status.ok()) {
    HS_LOG(kError, "scheduler cannot serve status={}", status);
    return 1;
  }
  return 0;
}
