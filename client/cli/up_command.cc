// `headstart up`: a cluster on this machine until Ctrl-C.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/net/listener.h"
#include "base/net/shutdown_signal.h"
#include "base/status_macros.h"
#include "client/cli/dataset_folders.h"
#include "client/cli/handlers.h"
#include "client/cli/local_cluster.h"
#include "client/cli/shell_word.h"

namespace headstart::client {
namespace {

constexpr int kMetricsPort = 7701;

absl::StatusOr<LocalClusterOptions> OptionsOf(const Flags& flags) {
  LocalClusterOptions options;
  options.data = flags.data;
  options.listen = flags.listen;
  if (!flags.listen.empty()) {
    HS_RETURN_IF_ERROR(
        Annotate(ListenAddress::Parse(flags.listen).status(), "--listen"));
  }
  HS_ASSIGN_OR_RETURN(options.slots, SlotsOf(flags.slots));
  HS_ASSIGN_OR_RETURN(options.metrics_port,
                      MetricsPortOf(flags.metrics_ports, kMetricsPort));
  options.datasets = DatasetFolders(flags.datasets);
  options.plugins = flags.plugins;
  return options;
}

}  // namespace

absl::Status Up(Session& session) {
  absl::StatusOr<LocalClusterOptions> options = OptionsOf(session.flags());
  if (!options.ok()) return UsageError(options.status().message());

  ShutdownSignal signal;
  Printer& printer = session.printer();
  auto cluster = LocalCluster::Start(*options, printer, signal.event());
  if (absl::IsCancelled(cluster.status())) return absl::OkStatus();
  HS_RETURN_IF_ERROR(cluster.status());

  printer.Progress("headstart is up.");
  printer.Show((*cluster)->Lines());
  printer.Progress(absl::StrCat(
      "In another terminal: headstart studies create -f FILE --watch --data ",
      ShellWord((*cluster)->data())));
  printer.Progress(
      "Ctrl-C ends all servers; the same command goes on where they were.");
  signal.Wait();

  const absl::Status status = (*cluster)->status();
  if (status.ok()) SayStopping(printer);
  cluster->reset();
  return status;
}

}  // namespace headstart::client
