// Files and folders: whole files at once, safe against a crash, and the lock of
// a data folder.
//
// Errors name the path. NotFound, PermissionDenied, AlreadyExists and
// ResourceExhausted (no room) mean what they say; others carry errno's text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace headstart {

// The Status of a system call that failed with `error_number`: its code, and
// "what: " before errno's text.
absl::Status ErrnoStatus(int error_number, absl::string_view what);

// The whole file.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Replaces the file: after a crash at any instant it has the old bytes or the
// new ones. At return they are on disk. A file beside it, path + ".tmp.*",
// exists meanwhile; of concurrent writers in one process, one wins.
absl::Status WriteFileAtomically(const std::string& path,
                                 absl::string_view bytes);

// Makes the folder and those above it, durably; it may be there already.
absl::Status MakeFolders(const std::string& path);

// Makes what was created, renamed or removed in the folder durable.
absl::Status SyncFolder(const std::string& path);

// Removes the file; it may be gone already.
absl::Status RemoveFile(const std::string& path);

// Bytes that this process may still write to the folder's file system.
absl::StatusOr<int64_t> FreeBytes(const std::string& path);

// The folder of the running program, where its sibling programs lie too.
std::string ExecutableFolder();

// Sole use of a folder, as long as this object or the process lives.
//
// It is flock on {folder}/lock, which the kernel drops when its holder ends,
// however it ends: a lock is never stale. The file holds the holder's pid.
class FolderLock {
 public:
  // Makes the folder if need be. FailedPrecondition, naming the folder, the
  // holder's pid and what to do, when another process (or another FolderLock
  // of this one) holds it.
  static absl::StatusOr<std::unique_ptr<FolderLock>> Acquire(
      const std::string& folder);

  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  explicit FolderLock(int file) : file_(file) {}

  const int file_;
};

}  // namespace headstart
