#include "storage/catalog/references.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace headstart::storage {
namespace {

ManifestName Parse(const v1::Reference& reference) {
  const auto name = ManifestName::Parse(reference.checkpoint());
  HS_CHECK_OK(name.status());
  return *name;
}

}  // namespace

void References::SetOwner(const std::string& owner, Owner record) {
  Owner& current = owners_[owner];
  for (const v1::Reference& reference : current.references()) {
    const auto it = by_manifest_.find(Parse(reference));
    if (it == by_manifest_.end()) continue;  // Named twice, gone already.
    std::erase_if(it->second, [&](const v1::Reference& other) {
      return other.owner() == owner;
    });
    if (it->second.empty()) by_manifest_.erase(it);
  }
  current = std::move(record);
  for (v1::Reference& reference : *current.mutable_references()) {
    reference.set_owner(owner);
    by_manifest_[Parse(reference)].push_back(reference);
  }
}

void References::SetRun(const RunName& run, Run record) {
  runs_[run] = std::move(record);
}

void References::EraseRuns(const std::string& owner) {
  for (const RunName& run : RunsOf(owner)) runs_.erase(run);
}

const References::Owner& References::owner(const std::string& owner) const {
  static const Owner* const kNone = new Owner();
  const auto it = owners_.find(owner);
  return it == owners_.end() ? *kNone : it->second;
}

const References::Run& References::run(const RunName& run) const {
  static const Run* const kNone = new Run();
  const auto it = runs_.find(run);
  return it == runs_.end() ? *kNone : it->second;
}

std::vector<RunName> References::RunsOf(const std::string& owner) const {
  std::vector<RunName> names;
  for (const auto& [name, record] : runs_) {
    if (name.ParentString() == owner) names.push_back(name);
  }
  return names;
}

bool References::BeyondHorizon(const CheckpointName& checkpoint) const {
  if (checkpoint.run.kind == RunKind::kImport) return false;
  if (owner(checkpoint.run.ParentString()).deleted()) return false;
  const Run& record = run(checkpoint.run);
  if (!record.known()) return true;
  return checkpoint.epoch > record.known_epoch() && !record.ended();
}

std::vector<v1::Reference> References::ReasonsFor(
    const ManifestName& manifest) const {
  std::vector<v1::Reference> reasons;
  const auto add = [&](const ManifestName& name) {
    const auto it = by_manifest_.find(name);
    if (it == by_manifest_.end()) return;
    reasons.insert(reasons.end(), it->second.begin(), it->second.end());
  };
  add(manifest);
  if (!manifest.resume) add({manifest.checkpoint, /*resume=*/true});
  if (BeyondHorizon(manifest.checkpoint)) {
    v1::Reference& reference = reasons.emplace_back();
    reference.set_checkpoint(manifest.ToString());
    reference.set_owner(manifest.checkpoint.run.ParentString());
    reference.set_reason(v1::RUNNING);
    reference.set_detail("committed, not yet known to the scheduler");
  }
  return reasons;
}

bool References::IsKept(const ManifestName& manifest) const {
  return by_manifest_.contains(manifest) ||
         (!manifest.resume &&
          by_manifest_.contains({manifest.checkpoint, /*resume=*/true})) ||
         BeyondHorizon(manifest.checkpoint);
}

bool References::IsPinned(const ManifestName& manifest) const {
  const auto it = by_manifest_.find(manifest);
  return it != by_manifest_.end() &&
         std::any_of(it->second.begin(), it->second.end(),
                     [](const v1::Reference& reference) {
                       return reference.reason() == v1::PINNED;
                     });
}

}  // namespace headstart::storage
