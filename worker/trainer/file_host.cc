#include "worker/trainer/file_host.h"

#include <cstring>
#include <map>
#include <utility>
#include <variant>

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "base/file.h"
#include "base/status_macros.h"
#include "storage/safetensors/safetensors.h"

namespace headstart::worker {
namespace {

struct LoadedSource {
  Source source;
  Slab memory;
};

// Files do not say.
TensorRole RoleByName(absl::string_view tensor) {
  if (absl::StartsWith(tensor, "mask.")) return TensorRole::kMask;
  if (absl::StartsWith(tensor, "inserted.")) return TensorRole::kInserted;
  return TensorRole::kParameter;
}

// A safetensors file as a source, as if the agent had brought it.
absl::StatusOr<LoadedSource> LoadSource(const std::string& checkpoint,
                                        const std::string& path,
                                        SourceRole role) {
  HS_ASSIGN_OR_RETURN(const std::string file, ReadFile(path));
  absl::StatusOr<storage::SafetensorsLayout> layout =
      storage::ParseSafetensorsHeader(file, file.size());
  if (!layout.ok()) return Annotate(layout.status(), path);
  TensorTable table;
  for (const storage::SafetensorsTensor& each : layout->tensors) {
    table.push_back({.name = each.name,
                     .dtype = each.dtype,
                     .shape = each.shape,
                     .role = RoleByName(each.name)});
  }
  HS_ASSIGN_OR_RETURN(table, LayOut(std::move(table)));
  HS_ASSIGN_OR_RETURN(Slab memory,
                      Slab::Create(std::max<int64_t>(1, SlabBytes(table))));
  for (size_t i = 0; i < table.size(); ++i) {
    const absl::Span<char> to = memory.Tensor(table[i]);
    const char* from =
        file.data() + layout->data_offset + layout->tensors[i].offset;
    std::memcpy(to.data(), from, to.size());
  }
  return LoadedSource{.source = {.checkpoint = checkpoint,
                                 .role = role,
                                 .bytes = memory.bytes(),
                                 .tensors = std::move(table)},
                      .memory = std::move(memory)};
}

// An `assign` object whose sources come from the command line. As a message it
// would have to bring the state that it goes on from, so it is read as if it
// began anew.
absl::StatusOr<Assign> ReadAssignment(const std::string& path) {
  HS_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  nlohmann::json json = nlohmann::json::parse(text, /*cb=*/nullptr,
                                              /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("type") || json["type"] != "assign" ||
      !json.contains("from_epoch") ||
      !json["from_epoch"].is_number_unsigned()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     ": must be a JSON object of type \"assign\" with a number "
                     "from_epoch."));
  }
  const int64_t from_epoch = json["from_epoch"];
  json["from_epoch"] = 0;
  absl::StatusOr<AgentMessage> message = ParseAgentMessage(json.dump());
  if (!message.ok()) return Annotate(message.status(), path);
  Assign assign = std::get<Assign>(*std::move(message));
  if (!assign.sources.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": sources must be empty; give them with --source NAME=FILE."));
  }
  assign.from_epoch = from_epoch;
  return assign;
}

bool IsWeight(const TableEntry& entry) {
  return entry.role == TensorRole::kParameter ||
         entry.role == TensorRole::kBuffer ||
         entry.role == TensorRole::kInserted || entry.role == TensorRole::kMask;
}

}  // namespace

FileHost::FileHost(FileHostOptions options, std::ostream& events)
    : options_(std::move(options)), events_(events) {}

absl::StatusOr<std::optional<Assignment>> FileHost::Next() {
  if (std::exchange(given_, true)) return std::nullopt;
  HS_RETURN_IF_ERROR(MakeFolders(options_.output_folder));
  HS_ASSIGN_OR_RETURN(Assign assign, ReadAssignment(options_.assignment));
  const std::string resumed =
      absl::StrCat(assign.run, "/epochs/", assign.from_epoch);
  Assignment assignment;
  for (const auto& [checkpoint, path] : options_.sources) {
    const bool resume = assign.from_epoch > 0 && checkpoint == resumed;
    HS_ASSIGN_OR_RETURN(
        LoadedSource loaded,
        LoadSource(checkpoint, path,
                   resume ? SourceRole::kResume : SourceRole::kInitializer));
    assign.sources.push_back(std::move(loaded.source));
    assignment.source_memory.push_back(std::move(loaded.memory));
  }
  assignment.assign = std::move(assign);
  return assignment;
}

absl::Status FileHost::Begin(const Started& started) {
  started_ = started;
  HS_ASSIGN_OR_RETURN(slab_, Slab::Create(started.slab_bytes));
  return Send(started);
}

absl::Status FileHost::Send(const TrainerMessage& message) {
  if (const auto* snapshot = std::get_if<Snapshot>(&message)) {
    HS_RETURN_IF_ERROR(WriteFiles(snapshot->epoch));
  }
  events_ << ToJson(message) << std::endl;
  if (events_.fail()) {
    return absl::UnavailableError("nobody reads the events any more.");
  }
  return absl::OkStatus();
}

absl::Status FileHost::WriteFiles(int64_t epoch) {
  const std::map<std::string, std::string> metadata = {
      {"run", started_.run},
      {"epoch", absl::StrCat(epoch)},
      {"model", started_.model},
      {"input_transform", started_.input_transform}};
  for (const bool weights : {true, false}) {
    std::vector<storage::SafetensorsTensor> tensors;
    std::string data;
    for (const TableEntry& entry : started_.tensors) {
      if (IsWeight(entry) != weights) continue;
      tensors.push_back(
          {.name = entry.name, .dtype = entry.dtype, .shape = entry.shape});
      const absl::Span<const char> bytes = slab_.Tensor(entry);
      data.append(bytes.data(), bytes.size());
    }
    HS_ASSIGN_OR_RETURN(const std::string header,
                        storage::MakeSafetensorsHeader(tensors, metadata));
    HS_RETURN_IF_ERROR(WriteFileAtomically(
        absl::StrCat(options_.output_folder, "/epoch-", epoch,
                     weights ? "" : ".resume", ".safetensors"),
        header + data));
  }
  return absl::OkStatus();
}

}  // namespace headstart::worker
