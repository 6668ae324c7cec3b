#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace headstart {
namespace {

int Open(const std::string& path, int flags, mode_t mode = 0644) {
  return open(path.c_str(), flags | O_CLOEXEC, mode);
}

absl::Status WriteAll(int file, const std::string& path,
                      absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(file, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(
          errno, absl::StrCat("writing ", bytes.size(), " bytes to ", path));
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? "." : folder;
}

}  // namespace

absl::Status ErrnoStatus(int error_number, absl::string_view what) {
  return absl::ErrnoToStatus(error_number, what);
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const int file = Open(path, O_RDONLY);
  if (file < 0) return ErrnoStatus(errno, absl::StrCat("opening ", path));
  absl::Cleanup close_file = [file] { close(file); };
  std::string bytes;
  char block[64 * 1024];
  while (true) {
    const ssize_t count = read(file, block, sizeof(block));
    if (count == 0) return bytes;
    if (count > 0) {
      bytes.append(block, static_cast<size_t>(count));
    } else if (errno != EINTR) {
      return ErrnoStatus(errno, absl::StrCat("reading ", path));
    }
  }
}

absl::Status WriteFileAtomically(const std::string& path,
                                 absl::string_view bytes) {
  static std::atomic<int64_t> write_count = 0;
  const std::string temporary =
      absl::StrCat(path, ".tmp.", getpid(), ".", ++write_count);
  const int file = Open(temporary, O_WRONLY | O_CREAT | O_TRUNC);
  if (file < 0) return ErrnoStatus(errno, absl::StrCat("making ", temporary));
  absl::Cleanup remove_file = [&temporary] { unlink(temporary.c_str()); };
  {
    absl::Cleanup close_file = [file] { close(file); };
    HS_RETURN_IF_ERROR(WriteAll(file, temporary, bytes));
    if (fsync(file) != 0) {
      return ErrnoStatus(errno, absl::StrCat("syncing ", temporary));
    }
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(errno,
                       absl::StrCat("renaming ", temporary, " to ", path));
  }
  std::move(remove_file).Cancel();
  return SyncFolder(FolderOf(path));
}

absl::Status MakeFolders(const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0) return SyncFolder(FolderOf(path));
  if (errno == ENOENT && FolderOf(path) != path) {
    HS_RETURN_IF_ERROR(MakeFolders(FolderOf(path)));
    if (mkdir(path.c_str(), 0755) == 0) return SyncFolder(FolderOf(path));
  }
  const int error_number = errno;
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return absl::OkStatus();
  return ErrnoStatus(error_number, absl::StrCat("making the folder ", path));
}

absl::Status SyncFolder(const std::string& path) {
  const int folder = Open(path, O_RDONLY | O_DIRECTORY);
  if (folder < 0) {
    return ErrnoStatus(errno, absl::StrCat("opening the folder ", path));
  }
  absl::Cleanup close_folder = [folder] { close(folder); };
  if (fsync(folder) != 0) {
    return ErrnoStatus(errno, absl::StrCat("syncing the folder ", path));
  }
  return absl::OkStatus();
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("removing ", path));
}

absl::StatusOr<int64_t> FreeBytes(const std::string& path) {
  struct statvfs info;
  if (statvfs(path.c_str(), &info) != 0) {
    return ErrnoStatus(errno,
                       absl::StrCat("asking how much room ", path, " has"));
  }
  return static_cast<int64_t>(info.f_bavail) *
         static_cast<int64_t>(info.f_frsize);
}

std::string ExecutableFolder() {
  std::error_code error;
  const std::filesystem::path program =
      std::filesystem::read_symlink("/proc/self/exe", error);
  HS_CHECK(!error) << "/proc/self/exe: " << error.message();
  return program.parent_path();
}

absl::StatusOr<std::unique_ptr<FolderLock>> FolderLock::Acquire(
    const std::string& folder) {
  HS_RETURN_IF_ERROR(MakeFolders(folder));
  const std::string path = absl::StrCat(folder, "/lock");
  const int file = Open(path, O_RDWR | O_CREAT);
  if (file < 0) return ErrnoStatus(errno, absl::StrCat("opening ", path));
  auto lock = std::unique_ptr<FolderLock>(new FolderLock(file));
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return ErrnoStatus(errno, absl::StrCat("locking ", path));
    }
    const std::string pid(
        absl::StripAsciiWhitespace(ReadFile(path).value_or("")));
    return absl::FailedPreconditionError(
        absl::StrCat("the folder ", folder, " is in use by process ",
                     pid.empty() ? "(unknown)" : pid,
                     ". Stop that process, or choose another data folder."));
  }
  if (ftruncate(file, 0) != 0) {
    return ErrnoStatus(errno, absl::StrCat("truncating ", path));
  }
  HS_RETURN_IF_ERROR(WriteAll(file, path, absl::StrCat(getpid(), "\n")));
  return lock;
}

// The file stays: removing it would let two processes hold a lock each, one on
// the removed file and one on its successor.
FolderLock::~FolderLock() { close(file_); }

}  // namespace headstart
