// headstart-storage: keeps blobs, checkpoints and references.
//
// Threads: gRPC's translate and wait for the disk. The retention thread
// collects and compacts (retention_loop.h). RocksDB's flush in the background.
// Telemetry's read counters. Locks are inside PackStore and RocksdbCatalog.
#include <CLI/CLI.hpp>

#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/net/listener.h"
#include "base/net/shutdown_signal.h"
#include "base/net/telemetry.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "storage/blob/metered_blob_store.h"
#include "storage/catalog/rocksdb_catalog.h"
#include "storage/pack/pack_store.h"
#include "storage/retention/collector.h"
#include "storage/retention/compactor.h"
#include "storage/retention/retention_loop.h"
#include "storage/server/blob_service.h"
#include "storage/server/checkpoint_service.h"
#include "storage/server/storage_admin_service.h"

namespace headstart::storage {
namespace {

constexpr absl::Duration kShutdownGrace = absl::Seconds(10);

struct Options {
  std::string data = "./headstart-data/storage";
  std::string listen = "127.0.0.1:7705";
  std::string endpoints;
  std::string metrics_listen = "127.0.0.1:7702";
  absl::Duration grace_period = absl::Minutes(10);
  int64_t free_bytes_floor = int64_t{256} << 20;
  bool adopt_cluster = false;
};

// "256MiB", "1GiB", "0".
std::optional<int64_t> ParseBytes(const std::string& text) {
  constexpr std::pair<absl::string_view, int> kUnits[] = {
      {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
  absl::string_view digits = text;
  int shift = 0;
  for (const auto& [unit, bits] : kUnits) {
    if (absl::ConsumeSuffix(&digits, unit)) shift = bits;
  }
  int64_t number = 0;
  if (!absl::SimpleAtoi(digits, &number) || number < 0 ||
      number > (int64_t{1} << 60) >> shift || (shift == 0 && number != 0)) {
    return std::nullopt;
  }
  return number << shift;
}

std::string DurationCheck(const std::string& text) {
  absl::Duration value;
  if (absl::ParseDuration(text, &value) && value >= absl::Seconds(1) &&
      value <= absl::Hours(24 * 365)) {
    return "";
  }
  return absl::StrCat("\"", text, "\": from 1s to 8760h, such as 10m.");
}

std::string BytesCheck(const std::string& text) {
  if (ParseBytes(text).has_value()) return "";
  return absl::StrCat("\"", text,
                      "\": a whole number with KiB, MiB, GiB or TiB, such as "
                      "256MiB, or 0.");
}

// The services, from the disk upwards; goes down in the other order.
absl::Status Serve(const Options& options, ShutdownSignal& shutdown) {
  const std::string& folder = options.data;
  HS_ASSIGN_OR_RETURN(const ListenAddress address,
                      ListenAddress::Parse(options.listen));
  HS_ASSIGN_OR_RETURN(const auto lock, FolderLock::Acquire(folder));
  Clock& clock = Clock::Real();
  Telemetry telemetry;

  HS_ASSIGN_OR_RETURN(
      const auto packs,
      PackStore::Open(
          {.folder = folder, .free_bytes_floor = options.free_bytes_floor},
          clock));
  HS_ASSIGN_OR_RETURN(
      const auto catalog,
      RocksdbCatalog::Open(
          {.folder = absl::StrCat(folder, "/catalog"),
           .check_room = [&](int64_t bytes) { return packs->CheckRoom(bytes); },
           .adopt_cluster = options.adopt_cluster},
          *packs, clock));
  MeteredBlobStore blobs(*packs, telemetry);
  Collector collector(*catalog, *packs, clock, options.grace_period);
  Compactor compactor(*packs);
  RetentionLoop retention(
      {*catalog, *packs, collector, compactor, telemetry, clock}, folder,
      options.grace_period);

  BlobService blob_service(blobs, *catalog);
  CheckpointService checkpoint_service(*catalog, blobs, *packs, folder);
  ReferenceService reference_service(*catalog);
  StorageAdminService admin_service(*catalog, *packs, blobs, collector,
                                    compactor);
  const auto endpoint_file = [&](absl::string_view name) {
    return options.endpoints.empty()
               ? ""
               : absl::StrCat(options.endpoints, "/", name);
  };
  HS_RETURN_IF_ERROR(telemetry.Serve(options.metrics_listen,
                                     endpoint_file("metrics-storage")));
  HS_ASSIGN_OR_RETURN(
      const auto listener,
      Listener::Start({.address = address,
                       .services = {&blob_service, &checkpoint_service,
                                    &reference_service, &admin_service},
                       .endpoint_file = endpoint_file("storage")}));
  HS_LOG(kInfo, "storage serves address={} metrics={} folder={} version={}",
         listener->endpoint(), telemetry.endpoint(), folder, kVersion);
  shutdown.Wait();
  HS_LOG(kInfo, "storage stops");
  listener->Shutdown(kShutdownGrace);
  retention.Stop();
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Options options;
  bool print_config = false;
  std::string grace_period = absl::FormatDuration(options.grace_period);
  std::string free_bytes_floor = "256MiB";
  CLI::App app("Keeps blobs, checkpoints and references in a folder.");
  app.set_version_flag("--version", kVersion);
  app.add_option("--data", options.data,
                 "Folder of packs and catalog, made if need be")
      ->capture_default_str();
  app.add_option("--listen", options.listen,
                 "unix:/absolute/path, or host:port of this machine; port 0 "
                 "lets the system choose")
      ->capture_default_str();
  app.add_option("--endpoints", options.endpoints,
                 "Folder for the files storage and metrics-storage, which say "
                 "the addresses once they can be reached");
  app.add_option("--metrics-listen", options.metrics_listen,
                 "host:port of this machine for /metrics")
      ->capture_default_str();
  app.add_option("--grace-period", grace_period,
                 "How long what nobody keeps is kept all the same; 1s to 8760h")
      ->capture_default_str()
      ->check(DurationCheck);
  app.add_option("--free-bytes-floor", free_bytes_floor,
                 "Nothing is stored that leaves less room on the disk; KiB, "
                 "MiB, GiB or TiB")
      ->capture_default_str()
      ->check(BytesCheck);
  app.add_flag("--adopt-cluster", options.adopt_cluster,
               "Once: give this store to the next scheduler that calls. It "
               "forgets all references but pins; checkpoints stay until that "
               "scheduler stores its own under their names");
  app.add_flag("--print-config", print_config,
               "Print the values in effect and exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  absl::ParseDuration(grace_period, &options.grace_period);
  options.free_bytes_floor = *ParseBytes(free_bytes_floor);
  if (print_config) {
    std::cout << "data=" << options.data << "\nlisten=" << options.listen
              << "\nendpoints=" << options.endpoints
              << "\nmetrics-listen=" << options.metrics_listen
              << "\ngrace-period=" << options.grace_period
              << "\nfree-bytes-floor=" << free_bytes_floor
              << "\nadopt-cluster=" << std::boolalpha << options.adopt_cluster
              << "\n";
    return 0;
  }
  ShutdownSignal shutdown;
  const absl::Status status = Serve(options, shutdown);
  if (status.ok()) return 0;
  HS_LOG(kError, "storage cannot run error=\"{}\"", status);
  return 1;
}

}  // namespace
}  // namespace headstart::storage

int main(int argc, char** argv) { return headstart::storage::Main(argc, argv); }
