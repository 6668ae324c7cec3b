#include "storage/catalog/commit_proposal.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/catalog/manifest.h"

namespace headstart::storage {
namespace {

ProposedManifest Propose(const v1::Manifest& manifest) {
  std::string bytes = CanonicalBytes(manifest);
  const Digest digest = Digest::Of(bytes);
  return {manifest, std::move(bytes), digest};
}

}  // namespace

absl::StatusOr<CommitProposal> CommitProposal::Check(
    const v1::CommitCheckpointRequest& request) {
  if (request.manifest().resume()) {
    return absl::InvalidArgumentError("manifest.resume must be false.");
  }
  HS_RETURN_IF_ERROR(CheckManifest(request.manifest()));
  CommitProposal proposal;
  proposal.name = NameOf(request.manifest()).checkpoint;
  const std::string name = proposal.name.ToString();
  if (proposal.name.run.kind == RunKind::kImport) {
    return absl::InvalidArgumentError(absl::StrCat(
        name, ": no run trains an import; ImportCheckpoint makes it."));
  }
  if (request.attempt() < 1 || request.token() < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        name, ": attempt ", request.attempt(), " with token ", request.token(),
        "; attempts count from 1, tokens from 0."));
  }
  if (request.cluster_id().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": cluster_id is missing."));
  }
  proposal.cluster_id = request.cluster_id();
  proposal.attempt = request.attempt();
  proposal.token = request.token();
  proposal.seconds = request.seconds();
  proposal.peak_memory_bytes = request.peak_memory_bytes();
  proposal.weights = Propose(request.manifest());
  if (!request.has_resume_manifest()) return proposal;

  const v1::Manifest& resume = request.resume_manifest();
  HS_RETURN_IF_ERROR(Annotate(CheckManifest(resume), "resume_manifest"));
  if (NameOf(resume) != ManifestName{proposal.name, /*resume=*/true}) {
    return absl::InvalidArgumentError(
        absl::StrCat("resume_manifest is ", NameOf(resume).ToString(),
                     "; it must be ", name, "/resume."));
  }
  proposal.resume = Propose(resume);
  return proposal;
}

absl::StatusOr<CommitProposal> CommitProposal::Check(
    const v1::ImportCheckpointRequest& request) {
  const v1::Manifest& manifest = request.manifest();
  HS_RETURN_IF_ERROR(CheckManifest(manifest));
  CommitProposal proposal;
  proposal.name = NameOf(manifest).checkpoint;
  if (proposal.name.run.kind != RunKind::kImport || proposal.name.epoch != 0 ||
      manifest.resume()) {
    return absl::InvalidArgumentError(
        absl::StrCat("manifest is ", NameOf(manifest).ToString(),
                     "; an import is imports/{name}, epoch 0."));
  }
  if (!manifest.parent().empty() || manifest.has_measurement() ||
      manifest.has_initializer() || manifest.has_initialization() ||
      manifest.has_environment()) {
    return absl::InvalidArgumentError(absl::StrCat(
        proposal.name.ToString(),
        ": parent, measurement, initializer, initialization and environment "
        "are for what was trained here; leave them out."));
  }
  proposal.weights = Propose(manifest);
  return proposal;
}

}  // namespace headstart::storage
