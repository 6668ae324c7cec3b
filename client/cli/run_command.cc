// `headstart run`: a whole study on this machine, from its file to its result.
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/net/shutdown_signal.h"
#include "base/status_macros.h"
#include "client/cli/dataset_folders.h"
#include "client/cli/file_study.h"
#include "client/cli/handlers.h"
#include "client/cli/local_cluster.h"
#include "client/cli/study_file.h"
#include "client/cli/study_progress.h"
#include "client/cli/study_result.h"

namespace headstart::client {
namespace {

absl::StatusOr<LocalClusterOptions> OptionsOf(const Flags& flags) {
  LocalClusterOptions options;
  options.data = flags.data;
  HS_ASSIGN_OR_RETURN(options.slots, SlotsOf(flags.slots));
  HS_ASSIGN_OR_RETURN(options.metrics_port,
                      MetricsPortOf(flags.metrics_ports, std::nullopt));
  options.datasets = DatasetFolders(flags.datasets);
  options.plugins = flags.plugins;
  return options;
}

// Waits, for a few seconds at most, until the worker has said that it is there:
// otherwise the first that a person reads is that no worker is ready. With
// plug-ins longer: what no worker has announced is refused.
void AwaitWorker(Session& session, Client& client, const StopEvent& stop) {
  Clock& clock = session.clock();
  const bool has_plugins = !session.flags().plugins.empty();
  const absl::Duration limit = absl::Seconds(has_plugins ? 120 : 5);
  const absl::Duration start = clock.Monotonic();
  bool told = false;
  while (clock.Monotonic() - start < limit) {
    if (!told && clock.Monotonic() - start > absl::Seconds(2)) {
      session.printer().Progress("waiting for trainers to start");
      told = true;
    }
    const auto workers = client.ListWorkers({});
    if (!workers.ok()) return;
    for (const v1::Worker& worker : workers->workers()) {
      if (worker.state() == v1::Worker::READY) return;
    }
    if (clock.WaitFor(absl::Milliseconds(20), stop)) return;
  }
}

// Creates the study, or finds the one that an earlier `run` created, and
// follows it to its end.
absl::Status Tune(Session& session, Client& client, const v1::Study& wanted,
                  const std::string& data) {
  HS_ASSIGN_OR_RETURN(const v1::Study study,
                      FindOrCreateStudy(session, client, wanted, data));
  session.printer().Progress(BeginText(session, client, study, data));

  StudyProgress progress(client, session.printer(), session.clock());
  v1::WatchStudyRequest watch;
  watch.set_name(study.name());
  v1::Study last;
  const absl::Status watched =
      client.WatchStudy(watch, [&](const v1::WatchStudyResponse& update) {
        last = update.study();
        progress.Update(update);
        return true;
      });
  session.printer().KeepDrawn();
  HS_RETURN_IF_ERROR(watched);
  HS_RETURN_IF_ERROR(CheckNotLost(session, last));
  return ReportStudy(session, client, study.name(),
                     absl::StrCat(data, "/results"));
}

}  // namespace

absl::Status RunStudyFile(Session& session) {
  const Flags& flags = session.flags();
  const absl::StatusOr<v1::Study> study = ReadStudyFile(flags.file);
  if (!study.ok()) return UsageError(study.status().message());
  const absl::StatusOr<LocalClusterOptions> options = OptionsOf(flags);
  if (!options.ok()) return UsageError(options.status().message());

  ShutdownSignal signal;
  auto cluster =
      LocalCluster::Start(*options, session.printer(), signal.event());
  if (absl::IsCancelled(cluster.status())) {
    return absl::CancelledError(
        absl::StrCat("stopped before all servers ran. This begins again:\n  ",
                     CommandToGoOn(flags)));
  }
  HS_RETURN_IF_ERROR(cluster.status());

  auto client = std::make_unique<Client>(
      ClientOptions{.server = (*cluster)->server(), .clock = &session.clock()});
  std::thread canceller([&] {
    signal.Wait();
    client->Cancel();
  });
  AwaitWorker(session, *client, signal.event());
  absl::Status status = Tune(session, *client, *study, (*cluster)->data());
  const bool is_stopped = signal.event().stopped();
  signal.event().Stop();  // Lets the canceller end.
  canceller.join();

  if (!(*cluster)->status().ok()) {
    status = (*cluster)->status();
  } else if (is_stopped && !status.ok()) {
    SayStopping(session.printer());
    status = absl::CancelledError(
        absl::StrCat("stopped; everything is kept in ", (*cluster)->data(),
                     ". This goes on where it was:\n  ", CommandToGoOn(flags)));
  }
  // A server that stops waits for connections that nobody closes.
  client.reset();
  cluster->reset();
  return status;
}

}  // namespace headstart::client
