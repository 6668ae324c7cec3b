// The commands about checkpoints and their store.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "base/names.h"
#include "base/status_macros.h"
#include "client/cli/download.h"
#include "client/cli/handlers.h"
#include "client/cli/import.h"
#include "client/cli/paging.h"
#include "client/cli/units.h"
#include "client/cli/views.h"

namespace headstart::client {

absl::Status ListCheckpoints(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::ListCheckpointsRequest request;
  HS_ASSIGN_OR_RETURN(*request.mutable_parent(),
                      session.Resolve(session.flags().name));
  HS_ASSIGN_OR_RETURN(
      const std::vector<v1::Checkpoint> checkpoints,
      ReadPages(
          request, [&](const auto& r) { return client->ListCheckpoints(r); },
          &v1::ListCheckpointsResponse::checkpoints));
  AnswerRows(session, checkpoints, CheckpointTable(checkpoints));
  return absl::OkStatus();
}

absl::Status GetCheckpoint(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::GetCheckpointRequest request;
  HS_ASSIGN_OR_RETURN(*request.mutable_name(),
                      session.Resolve(session.flags().name));
  HS_ASSIGN_OR_RETURN(const v1::Checkpoint checkpoint,
                      client->GetCheckpoint(request));
  session.Answer(checkpoint, CheckpointLines(checkpoint));
  return absl::OkStatus();
}

namespace {

// Whether the model whose file this is has layers that a stage has put in.
bool HasInserted(const std::string& file) {
  const auto layout = ReadLayout(file);
  return layout.ok() && absl::c_any_of(layout->tensors, [](const auto& tensor) {
           return RoleByName(tensor.name) == v1::Tensor::INSERTED;
         });
}

}  // namespace

absl::Status DownloadCheckpoint(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  DownloadOptions options = {.file = session.flags().output,
                             .include_buffers = session.flags().include_buffers,
                             .include_masks = session.flags().include_masks,
                             .overwrite = session.flags().force};
  HS_ASSIGN_OR_RETURN(options.checkpoint,
                      session.Resolve(session.flags().name));
  if (options.file.empty()) options.file = DefaultFileName(options.checkpoint);
  HS_ASSIGN_OR_RETURN(
      const int64_t bytes,
      DownloadToFile(*client, session.printer(), session.clock(), options));
  if (HasInserted(options.file)) {
    session.printer().Progress(
        "note: stages put normalizations between this model's blocks (tensors "
        "inserted.*). Models of other libraries have none, so they load the "
        "file only without strict names, and from the second stage on they "
        "compute something else.");
  }
  session.printer().Progress(
      absl::StrCat(options.checkpoint, ", ", HumanBytes(bytes), ", is in:"));
  session.printer().Result(options.file);
  return absl::OkStatus();
}

absl::Status ImportCheckpoint(Session& session) {
  const Flags& flags = session.flags();
  ImportOptions options = {.file = flags.file,
                           .run = absl::StrCat(kImports, "/", flags.name),
                           .reason = flags.reason};
  if (!RunName::Parse(options.run).ok()) {
    return UsageError(absl::StrCat(
        "--name \"", flags.name,
        "\": write 1 to 64 of a-z, 0-9, \".\", \"_\" and \"-\", the first a "
        "letter or digit; the checkpoint is imports/{name}/epochs/0"));
  }
  if (options.reason.empty()) {
    const std::string name = std::filesystem::path(flags.file).filename();
    options.reason = absl::StrCat(
        "imported from ", name.size() <= 150 ? name : "a safetensors file");
  }
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  HS_ASSIGN_OR_RETURN(
      const v1::Checkpoint checkpoint,
      ImportFile(*client, session.printer(), session.clock(), options));
  if (session.printer().json()) {
    session.printer().Json(checkpoint);
    return absl::OkStatus();
  }
  session.printer().Progress(
      absl::StrCat(Count(checkpoint.tensor_count(), "tensor"), ", ",
                   HumanBytes(checkpoint.tensor_bytes()), ", pinned, as:"));
  session.printer().Result(checkpoint.name());
  return absl::OkStatus();
}

absl::Status PinCheckpoint(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::PinCheckpointRequest request;
  HS_ASSIGN_OR_RETURN(*request.mutable_name(),
                      session.Resolve(session.flags().name));
  request.set_reason(session.flags().reason);
  HS_ASSIGN_OR_RETURN(const v1::Checkpoint checkpoint,
                      client->PinCheckpoint(request));
  session.Answer(checkpoint, {absl::StrCat(checkpoint.name(), " is pinned")});
  return absl::OkStatus();
}

absl::Status UnpinCheckpoint(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::UnpinCheckpointRequest request;
  HS_ASSIGN_OR_RETURN(*request.mutable_name(),
                      session.Resolve(session.flags().name));
  HS_ASSIGN_OR_RETURN(const v1::Checkpoint checkpoint,
                      client->UnpinCheckpoint(request));
  session.Answer(checkpoint,
                 {absl::StrCat(checkpoint.name(), " is no longer pinned")});
  return absl::OkStatus();
}

absl::Status GetUsage(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::GetUsageRequest request;
  request.set_parent(session.flags().name);
  HS_ASSIGN_OR_RETURN(const v1::GetUsageResponse usage,
                      client->GetUsage(request));
  session.Answer(usage, UsageLines(usage));
  return absl::OkStatus();
}

absl::Status VerifyStorage(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::VerifyStorageResponse result;
  absl::Duration last_said = session.clock().Monotonic();
  HS_RETURN_IF_ERROR(
      client->VerifyStorage({}, [&](const v1::VerifyStorageResponse& progress) {
        result = progress;
        if (session.clock().Monotonic() - last_said < absl::Seconds(2)) return;
        last_said = session.clock().Monotonic();
        session.printer().Progress(
            absl::StrCat("checked ", HumanBytes(progress.checked_bytes()),
                         " of ", HumanBytes(progress.total_bytes())));
      }));
  if (!result.done()) {
    return absl::DataLossError("storage ended the check before its result");
  }
  std::vector<std::string> lines = {
      absl::StrCat(Count(result.blob_count(), "blob"), ", ",
                   HumanBytes(result.checked_bytes()), ": ",
                   result.damaged().empty() ? "all as they were stored"
                                            : "some are damaged")};
  if (!result.damaged().empty()) {
    Table table({{"CHECKPOINT"}, {"TENSOR"}, {"WHAT"}});
    for (const v1::VerifyStorageResponse::Damage& damage : result.damaged()) {
      table.Add({damage.checkpoint(), damage.tensor(), damage.message()});
    }
    for (std::string& line : table.Lines()) lines.push_back(std::move(line));
  }
  session.Answer(result, lines);
  if (result.damaged().empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "damaged: ", result.damaged(0).checkpoint(),
      result.damaged_size() > 1
          ? absl::StrCat(" and ", result.damaged_size() - 1, " more")
          : "",
      ". Other epochs of these runs can still be read."));
}

absl::Status CompactStorage(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::CompactStorageRequest request;
  request.set_dead_share_min(session.flags().dead_share_min);
  v1::CompactStorageResponse result;
  HS_RETURN_IF_ERROR(client->CompactStorage(
      request,
      [&](const v1::CompactStorageResponse& progress) { result = progress; }));
  session.Answer(
      result,
      {absl::StrCat("forgot ",
                    Count(result.checkpoints_forgotten(), "checkpoint"),
                    ", rewrote ", Count(result.packs_rewritten(), "pack"),
                    ", freed ", HumanBytes(result.freed_bytes()))});
  return absl::OkStatus();
}

}  // namespace headstart::client
