#include "worker/agent/trainer_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"

namespace headstart::worker {
namespace {

constexpr int64_t kFileBytesMax = int64_t{16} << 20;
constexpr size_t kTailLinesMax = 50;
constexpr size_t kTailLineBytesMax = 400;

UniqueFd OpenForAppending(const std::string& path) {
  return UniqueFd(
      open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
}

}  // namespace

TrainerLog::TrainerLog(std::string path, UniqueFd file, int64_t file_bytes)
    : path_(std::move(path)), file_(std::move(file)), file_bytes_(file_bytes) {}

absl::StatusOr<TrainerLog> TrainerLog::Open(std::string path) {
  UniqueFd file = OpenForAppending(path);
  struct stat facts;
  if (!file.valid() || fstat(file.get(), &facts) != 0) {
    return ErrnoStatus(errno, path);
  }
  return TrainerLog(std::move(path), std::move(file), facts.st_size);
}

void TrainerLog::Append(absl::string_view bytes) {
  WriteToFile(bytes);
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const absl::string_view part = bytes.substr(0, end);
    const size_t room = kTailLineBytesMax - partial_line_.size();
    absl::StrAppend(&partial_line_, part.substr(0, room));
    if (end == bytes.npos) return;
    lines_.push_back(std::exchange(partial_line_, ""));
    if (lines_.size() > kTailLinesMax) lines_.pop_front();
    bytes.remove_prefix(end + 1);
  }
}

void TrainerLog::WriteToFile(absl::string_view bytes) {
  if (file_bytes_ > kFileBytesMax) {
    rename(path_.c_str(), absl::StrCat(path_, ".1").c_str());
    file_ = OpenForAppending(path_);
    file_bytes_ = 0;
  }
  file_bytes_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t written = write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    bytes.remove_prefix(written);
  }
}

std::string TrainerLog::Tail() const {
  std::string tail = absl::StrJoin(lines_, "\n");
  if (!partial_line_.empty()) {
    absl::StrAppend(&tail, tail.empty() ? "" : "\n", partial_line_);
  }
  return tail;
}

void TrainerLog::ForgetTail() {
  lines_.clear();
  partial_line_.clear();
}

}  // namespace headstart::worker
