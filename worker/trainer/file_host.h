// A person who runs the trainer alone: an assignment from a file, events as
// JSON lines, weights as safetensors files.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "worker/trainer/host.h"

namespace headstart::worker {

struct FileHostOptions {
  // A file with the object of an `assign` message, without sources.
  std::string assignment;
  // Gets epoch-<e>.safetensors and epoch-<e>.resume.safetensors; made if need
  // be.
  std::string output_folder;
  // Checkpoint names and the files that hold them. Weights and resume part of
  // one checkpoint are two files under one name. To go on after epoch e, the
  // name is the run's own: studies/1/trials/3/epochs/<e>.
  std::vector<std::pair<std::string, std::string>> sources;
};

class FileHost final : public Host {
 public:
  // Events are written to `events`, which must outlive the host.
  FileHost(FileHostOptions options, std::ostream& events);

  // The assignment the first time, then none.
  //   NotFound, InvalidArgument  what is wrong with which file.
  absl::StatusOr<std::optional<Assignment>> Next() override;
  absl::Status Begin(const Started& started) override;
  std::optional<int64_t> AcquireSlab() override { return 0; }
  Slab& slab(int64_t) override { return slab_; }
  std::optional<StopMode> stop() const override { return std::nullopt; }
  // A snapshot is on disk when this returns; the slab is free again.
  absl::Status Send(const TrainerMessage& message) override;

 private:
  absl::Status WriteFiles(int64_t epoch);

  const FileHostOptions options_;
  std::ostream& events_;
  bool given_ = false;
  Started started_;
  Slab slab_;
};

}  // namespace headstart::worker
