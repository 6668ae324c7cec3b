#include "client/cli/download.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/cli/byte_progress.h"

namespace headstart::client {
namespace {

absl::Status AlreadyThere(const std::string& file) {
  return absl::AlreadyExistsError(
      absl::StrCat(file,
                   " exists. Choose another name with -o, or overwrite it with "
                   "--force."));
}

absl::Status WriteAll(int file, const std::string& path,
                      absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, absl::StrCat("writing ", path));
    bytes.remove_prefix(count);
  }
  return absl::OkStatus();
}

}  // namespace

std::string DefaultFileName(const std::string& checkpoint) {
  return absl::StrCat(absl::StrReplaceAll(checkpoint, {{"/", "-"}}),
                      ".safetensors");
}

absl::StatusOr<int64_t> DownloadToFile(Client& client, Printer& printer,
                                       Clock& clock,
                                       const DownloadOptions& options) {
  if (!options.overwrite && access(options.file.c_str(), F_OK) == 0) {
    return AlreadyThere(options.file);
  }
  const std::string temporary = absl::StrCat(options.file, ".part.", getpid());
  const int file =
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return ErrnoStatus(errno, absl::StrCat("making ", temporary));
  absl::Cleanup close_file = [file] { close(file); };
  absl::Cleanup remove_file = [&] { unlink(temporary.c_str()); };

  v1::DownloadCheckpointRequest request;
  request.set_name(options.checkpoint);
  request.set_exclude_buffers(!options.include_buffers);
  request.set_include_masks(options.include_masks);
  ByteProgress progress(printer, clock, options.checkpoint);
  HS_RETURN_IF_ERROR(client.DownloadCheckpoint(
      request, [&](absl::string_view bytes, int64_t total_bytes) {
        HS_RETURN_IF_ERROR(WriteAll(file, temporary, bytes));
        progress.Add(static_cast<int64_t>(bytes.size()), total_bytes);
        return absl::OkStatus();
      }));

  if (fsync(file) != 0) {
    return ErrnoStatus(errno, absl::StrCat("syncing ", temporary));
  }
  if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, options.file.c_str(),
                options.overwrite ? 0 : RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST) return AlreadyThere(options.file);
    return ErrnoStatus(
        errno, absl::StrCat("renaming ", temporary, " to ", options.file));
  }
  std::move(remove_file).Cancel();
  const std::string folder = std::filesystem::path(options.file).parent_path();
  HS_RETURN_IF_ERROR(SyncFolder(folder.empty() ? "." : folder));
  return progress.done_bytes();
}

}  // namespace headstart::client
