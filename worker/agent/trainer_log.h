// What trainers of one slot write to stderr: a file, and the last lines.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/trainer_protocol/unique_fd.h"

namespace headstart::worker {

// Appends to a file and remembers the last lines, cut to a length that a
// failure's report can carry. A file that has grown past 16 MiB is renamed to
// "{path}.1", where it replaces the one before, and begun anew. A disk that is
// full costs the file its lines, not the trainer its run.
//
// One thread.
class TrainerLog final {
 public:
  static absl::StatusOr<TrainerLog> Open(std::string path);

  void Append(absl::string_view bytes);

  // Of what came since ForgetTail.
  std::string Tail() const;
  // The next attempt begins.
  void ForgetTail();

  const std::string& path() const { return path_; }

 private:
  TrainerLog(std::string path, UniqueFd file, int64_t file_bytes);

  void WriteToFile(absl::string_view bytes);

  std::string path_;
  UniqueFd file_;
  int64_t file_bytes_;
  std::deque<std::string> lines_;
  std::string partial_line_;
};

}  // namespace headstart::worker
