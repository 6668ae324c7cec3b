// A commit request that is consistent in itself, with what follows from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/names.h"
#include "headstart/v1/checkpoint_service.pb.h"
#include "storage/blob/digest.h"

namespace headstart::storage {

// A manifest, its canonical bytes and their digest.
struct ProposedManifest {
  v1::Manifest manifest;
  std::string bytes;
  Digest digest;
};

struct CommitProposal {
  CheckpointName name;
  std::string cluster_id;  // Empty for an import, and the numbers 0.
  int64_t attempt = 0;
  int64_t token = 0;
  v1::PhaseSeconds seconds;
  int64_t peak_memory_bytes = 0;
  ProposedManifest weights;
  std::optional<ProposedManifest> resume;

  // Judges the request without the catalog: its manifests, and whether they
  // are of one epoch. InvalidArgument says what is wrong.
  static absl::StatusOr<CommitProposal> Check(
      const v1::CommitCheckpointRequest& request);
  static absl::StatusOr<CommitProposal> Check(
      const v1::ImportCheckpointRequest& request);
};

}  // namespace headstart::storage
