#include "client/cli/file_study.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/time_util.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/random_stream.h"
#include "base/status_macros.h"
#include "client/cli/shell_word.h"
#include "client/cli/views.h"

namespace headstart::client {
namespace {

using google::protobuf::util::TimeUtil;

// What DIR/runs/FINGERPRINT says: "2 studies/7 2026-03-01T14:02:11.5Z".
struct Run {
  // How often --new was given.
  int64_t number = 0;
  // Empty until the study has been created.
  std::string study;
  // Tells the study from one of the same name in another journal, such as that
  // of an older backup.
  std::string create_time;
};

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

absl::StatusOr<Run> ReadRun(const std::string& file) {
  const absl::StatusOr<std::string> text = ReadFile(file);
  if (absl::IsNotFound(text.status())) return Run();
  HS_RETURN_IF_ERROR(text.status());
  const std::vector<std::string> words =
      absl::StrSplit(*text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  Run run;
  if ((words.size() != 1 && words.size() != 3) ||
      !absl::SimpleAtoi(words[0], &run.number)) {
    return absl::DataLossError(
        absl::StrCat(file,
                     " should hold a number, and a study with the time of its "
                     "creation. Remove it to go on with the first study of "
                     "this file."));
  }
  if (words.size() == 3) {
    run.study = words[1];
    run.create_time = words[2];
  }
  return run;
}

absl::Status WriteRun(const std::string& file, const Run& run) {
  return WriteFileAtomically(
      file, absl::StrCat(run.number, run.study.empty() ? "" : " ", run.study,
                         run.study.empty() ? "" : " ", run.create_time, "\n"));
}

absl::Status Deleted(const Session& session, const std::string& name) {
  return absl::NotFoundError(
      absl::StrCat(name, ", the study of ", session.flags().file,
                   ", has been deleted. Add --new to start another."));
}

absl::StatusOr<v1::Study> Get(Client& client, const std::string& name) {
  v1::GetStudyRequest request;
  request.set_name(name);
  return client.GetStudy(request);
}

}  // namespace

absl::StatusOr<v1::Study> FindOrCreateStudy(Session& session, Client& client,
                                            const v1::Study& wanted,
                                            const std::string& data) {
  const std::string fingerprint = Fingerprint(wanted);
  const std::string folder = absl::StrCat(data, "/runs");
  const std::string file = absl::StrCat(folder, "/", fingerprint);
  HS_RETURN_IF_ERROR(MakeFolders(folder));
  HS_ASSIGN_OR_RETURN(Run run, ReadRun(file));
  if (session.flags().start_anew) {
    run = {.number = run.number + 1};
    HS_RETURN_IF_ERROR(WriteRun(file, run));
  }

  // The scheduler forgets request ids in time; this file does not.
  if (!run.study.empty()) {
    const absl::StatusOr<v1::Study> known = Get(client, run.study);
    if (absl::IsNotFound(known.status())) return Deleted(session, run.study);
    HS_RETURN_IF_ERROR(known.status());
    if (TimeUtil::ToString(known->create_time()) == run.create_time) {
      HS_RETURN_IF_ERROR(CheckNotLost(session, *known));
      return known;
    }
  }

  // A run that was killed before it wrote the name finds its study by the id.
  v1::CreateStudyRequest create;
  *create.mutable_study() = wanted;
  create.set_request_id(
      absl::StrCat("run-", fingerprint,
                   run.number > 0 ? absl::StrCat("-", run.number) : ""));
  const absl::StatusOr<v1::CreateStudyResponse> created =
      client.CreateStudy(std::move(create));
  if (absl::IsAborted(created.status())) {  // That study was deleted.
    return absl::AbortedError(absl::StrCat(created.status().message(),
                                           " Add --new to start another."));
  }
  HS_RETURN_IF_ERROR(created.status());
  const v1::Study& study = created->study();
  run.study = study.name();
  run.create_time = TimeUtil::ToString(study.create_time());
  HS_RETURN_IF_ERROR(WriteRun(file, run));
  HS_RETURN_IF_ERROR(CheckNotLost(session, study));
  return study;
}

absl::Status CheckNotLost(const Session& session, const v1::Study& study) {
  if (study.state() != v1::Study::CANCELLED &&
      study.state() != v1::Study::FAILED) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat(study.name(), ", the study of ", session.flags().file,
                   ", is ", v1::Study::State_Name(study.state()),
                   study.state_message().empty() ? "" : ": ",
                   study.state_message(), ". Add --new to start another."));
}

std::string BeginText(const Session& session, Client& client,
                      const v1::Study& study, const std::string& data) {
  const std::string& name = study.name();
  const std::string how_to_stop =
      absl::StrCat(" Ctrl-C stops; the same command",
                   session.flags().start_anew ? " without --new" : "",
                   " goes on where it was.");
  if (study.state() == v1::Study::PAUSED) {
    return absl::StrCat(name, " is paused; \"headstart studies resume ", name,
                        " --data ", ShellWord(data),
                        "\" in another terminal lets it go on.");
  }
  if (study.state() == v1::Study::SUCCEEDED) {
    for (const std::string& training_name : study.trainings()) {
      v1::GetTrainingRequest get;
      get.set_name(training_name);
      const absl::StatusOr<v1::Training> training = client.GetTraining(get);
      if (training.ok() && !IsOver(*training)) {
        return absl::StrCat(name, " has been tuned; ", training_name,
                            " goes on.", how_to_stop);
      }
    }
    return absl::StrCat(name, " has been tuned before; --new starts another.");
  }
  return absl::StrCat(
      name, study.recorded_epochs() > 0 ? " goes on." : " runs.", how_to_stop);
}

std::string CommandToGoOn(const Flags& flags) {
  std::string command = absl::StrCat("headstart run ", ShellWord(flags.file),
                                     " --data ", ShellWord(flags.data));
  const auto add = [&](absl::string_view flag, const std::string& value) {
    if (!value.empty()) {
      absl::StrAppend(&command, " ", flag, " ", ShellWord(value));
    }
  };
  add("--slots", flags.slots);
  for (const std::string& folder : flags.datasets) add("--datasets", folder);
  add("--plugins", flags.plugins);
  add("--metrics-ports", flags.metrics_ports);
  if (flags.quiet) absl::StrAppend(&command, " --quiet");
  return command;
}

}  // namespace headstart::client
