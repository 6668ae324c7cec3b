// `headstart run`: a whole study on this machine, from its file to its result.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/net/shutdown_signal.h"
#include "base/random_stream.h"
#include "base/status_macros.h"
#include "client/cli/dataset_folders.h"
#include "client/cli/handlers.h"
#include "client/cli/local_cluster.h"
#include "client/cli/study_file.h"
#include "client/cli/study_progress.h"
#include "client/cli/study_result.h"
#include "client/cli/watch.h"

namespace headstart::client {
namespace {

// 32 hex digits that depend on what the study says and nothing else: not on
// comments or the order of fields.
std::string Fingerprint(const v1::Study& study) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    study.SerializeToCodedStream(&coded);
  }
  return absl::StrFormat("%016x%016x", StableHash(absl::StrCat("a", bytes)),
                         StableHash(absl::StrCat("b", bytes)));
}

// The request_id under which `run` creates the study: the same for the same
// file in the same data folder, so that the command can be repeated. --new
// counts up a number that is kept in DIR/runs.
absl::StatusOr<std::string> RequestIdOf(const v1::Study& study,
                                        const std::string& data,
                                        bool start_anew) {
  const std::string fingerprint = Fingerprint(study);
  const std::string file = absl::StrCat(data, "/runs/", fingerprint);
  int64_t number = 0;
  const absl::StatusOr<std::string> text = ReadFile(file);
  if (text.ok() && !absl::SimpleAtoi(*text, &number)) {
    return absl::DataLossError(
        absl::StrCat(file,
                     " should hold a number. Remove it to go on with "
                     "the first study of this file."));
  }
  if (!text.ok() && !absl::IsNotFound(text.status())) return text.status();
  if (start_anew) {
    ++number;
    HS_RETURN_IF_ERROR(MakeFolders(absl::StrCat(data, "/runs")));
    HS_RETURN_IF_ERROR(WriteFileAtomically(file, absl::StrCat(number, "\n")));
  }
  return absl::StrCat("run-", fingerprint,
                      number > 0 ? absl::StrCat("-", number) : "");
}

absl::StatusOr<LocalClusterOptions> OptionsOf(const Flags& flags) {
  LocalClusterOptions options;
  options.data = flags.data;
  HS_ASSIGN_OR_RETURN(options.slots, SlotsOf(flags.slots));
  HS_ASSIGN_OR_RETURN(options.metrics_port,
                      MetricsPortOf(flags.metrics_ports, std::nullopt));
  options.datasets = DatasetFolders(flags.datasets);
  return options;
}

// Waits, for a few seconds at most, until the worker has said that it is there:
// otherwise the first that a person reads is that no worker is ready.
void AwaitWorker(Client& client, Clock& clock, const StopEvent& stop) {
  const absl::Duration start = clock.Monotonic();
  while (clock.Monotonic() - start < absl::Seconds(5)) {
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
absl::Status Tune(Session& session, Client& client, const v1::Study& study,
                  const std::string& data) {
  v1::CreateStudyRequest create;
  *create.mutable_study() = study;
  HS_ASSIGN_OR_RETURN(*create.mutable_request_id(),
                      RequestIdOf(study, data, session.flags().start_anew));
  HS_ASSIGN_OR_RETURN(const v1::CreateStudyResponse created,
                      client.CreateStudy(std::move(create)));

  const std::string& name = created.study().name();
  v1::GetStudyRequest get;
  get.set_name(name);
  const absl::StatusOr<v1::Study> now = client.GetStudy(get);
  if (absl::IsNotFound(now.status())) {
    return absl::NotFoundError(
        absl::StrCat(name, ", the study of ", session.flags().file,
                     ", has been deleted. Add --new to start another."));
  }
  HS_RETURN_IF_ERROR(now.status());
  session.printer().Progress(absl::StrCat(
      name, now->state() == v1::Study::SUCCEEDED
                ? " has been tuned before; --new starts another."
            : now->recorded_epochs() > 0
                ? " goes on. Ctrl-C stops; the same command goes on once more."
                : " runs. Ctrl-C stops; the same command goes on."));
  if (now->state() == v1::Study::PAUSED) {
    session.printer().Progress(absl::StrCat(
        name, " is paused; \"headstart studies resume ", name, " --data ", data,
        "\" in another terminal lets it go on."));
  }

  StudyProgress progress(client, session.printer(), session.clock());
  v1::WatchStudyRequest watch;
  watch.set_name(name);
  const absl::Status watched =
      client.WatchStudy(watch, [&](const v1::WatchStudyResponse& update) {
        progress.Update(update);
        return true;
      });
  session.printer().KeepDrawn();
  HS_RETURN_IF_ERROR(watched);
  return ReportStudy(session, client, name, absl::StrCat(data, "/results"));
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
  const std::string same_command =
      absl::StrCat("headstart run ", flags.file, " --data ", flags.data);
  if (absl::IsCancelled(cluster.status())) {
    return absl::CancelledError(
        absl::StrCat("stopped before the study began. ", same_command));
  }
  HS_RETURN_IF_ERROR(cluster.status());

  auto client = std::make_unique<Client>(ClientOptions{
      .server = (*cluster)->server(), .clock = &session.clock()});
  std::thread canceller([&] {
    signal.Wait();
    client->Cancel();
  });
  AwaitWorker(*client, session.clock(), signal.event());
  absl::Status status = Tune(session, *client, *study, (*cluster)->data());
  const bool is_stopped = signal.event().stopped();
  signal.event().Stop();  // Lets the canceller end.
  canceller.join();

  if (!(*cluster)->status().ok()) {
    status = (*cluster)->status();
  } else if (is_stopped && !status.ok()) {
    session.printer().Progress(
        "Stopping: running epochs finish first. Ctrl-C again ends at once; "
        "epochs that have not finished are then trained again later.");
    status = absl::CancelledError(
        absl::StrCat("stopped; everything is kept in ", (*cluster)->data(),
                     ". This goes on where it was: ", same_command));
  }
  // A server that stops waits for connections that nobody closes.
  client.reset();
  cluster->reset();
  return status;
}

}  // namespace headstart::client
