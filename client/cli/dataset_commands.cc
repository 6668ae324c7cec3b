// The commands about data sets on this machine.
#include <google/protobuf/struct.pb.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "client/cli/dataset_folders.h"
#include "client/cli/handlers.h"
#include "worker/dataset_files/dataset_files.h"

namespace headstart::client {
namespace {

absl::StatusOr<std::vector<std::string>> Folders(const Flags& flags) {
  std::vector<std::string> folders = DatasetFolders(flags.datasets);
  if (folders.empty()) {
    return UsageError(
        "no folder of data sets: name one with --datasets DIR or in "
        "HEADSTART_DATASETS.");
  }
  return folders;
}

// A row of these two commands has no proto of its own.
void Answer(Session& session, const worker::DatasetPresence& presence,
            const std::string& state, const std::string& detail, Table& table) {
  table.Add({presence.name, state, presence.folder, detail});
  if (!session.printer().json()) return;
  google::protobuf::Struct row;
  auto& fields = *row.mutable_fields();
  fields["name"].set_string_value(presence.name);
  fields["state"].set_string_value(state);
  fields["folder"].set_string_value(presence.folder);
  fields["detail"].set_string_value(detail);
  session.printer().Json(row);
}

Table NewTable() {
  return Table({{"NAME"}, {"STATE"}, {"FOLDER"}, {"DETAIL"}});
}

std::string MissingText(const worker::DatasetPresence& presence) {
  return absl::StrCat("missing: ", absl::StrJoin(presence.missing_files, ", "),
                      "; get it at ", presence.info->where_to_get_it);
}

}  // namespace

absl::Status ListDatasets(Session& session) {
  HS_ASSIGN_OR_RETURN(const std::vector<std::string> folders,
                      Folders(session.flags()));
  Table table = NewTable();
  for (const worker::DatasetPresence& presence :
       worker::ListDatasets(folders)) {
    if (presence.missing_files.empty()) {
      Answer(session, presence, "COMPLETE", "", table);
    } else {
      Answer(session, presence, "INCOMPLETE", MissingText(presence), table);
    }
  }
  if (!session.printer().json()) session.printer().Show(table);
  return absl::OkStatus();
}

absl::Status VerifyDatasets(Session& session) {
  HS_ASSIGN_OR_RETURN(const std::vector<std::string> folders,
                      Folders(session.flags()));
  Table table = NewTable();
  absl::Status first_damage;
  int64_t complete_count = 0;
  for (const worker::DatasetPresence& presence :
       worker::ListDatasets(folders)) {
    if (!presence.missing_files.empty()) {
      Answer(session, presence, "INCOMPLETE", MissingText(presence), table);
      continue;
    }
    ++complete_count;
    const absl::StatusOr<std::string> note =
        worker::VerifyDataset(folders, presence);
    Answer(session, presence, note.ok() ? "OK" : "DAMAGED",
           note.ok() ? *note : std::string(note.status().message()), table);
    first_damage.Update(note.status());
  }
  if (!session.printer().json()) session.printer().Show(table);
  if (complete_count == 0) {
    return absl::NotFoundError(
        absl::StrCat("no complete data set in ", absl::StrJoin(folders, ", ")));
  }
  return first_damage;
}

}  // namespace headstart::client
