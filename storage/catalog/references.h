// Who keeps which checkpoint, and why: the newest desired set of each owner.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "base/names.h"
#include "headstart/internal/v1/catalog.pb.h"
#include "headstart/v1/manifest.pb.h"

namespace headstart::storage {

// The owner of what people pin.
inline constexpr absl::string_view kPerson = "person";

// The reasons to keep manifests, in memory.
//
// A manifest is kept while any owner's set names it. What the scheduler cannot
// have named yet is kept too, as RUNNING: an epoch beyond the horizon of its
// run (the last epoch the scheduler knows), and every epoch of a run without a
// horizon. A run that has ended, or whose study or training was deleted, has
// nothing beyond its horizon that anyone will want. Of imports the scheduler
// commits none, so they have no horizon either: references alone keep them.
//
// A reference to .../resume keeps the weights as well: nothing resumes without
// them. The other way round it does not.
//
// No thread of its own, no disk: its owner locks, and stores the records.
class References {
 public:
  using Owner = internal::v1::OwnerRecord;
  using Run = internal::v1::RunRecord;

  // Replaces what the owner wants. The references' names are valid.
  void SetOwner(const std::string& owner, Owner record);
  void SetRun(const RunName& run, Run record);

  // Forgets what is known of the runs of a deleted owner.
  void EraseRuns(const std::string& owner);

  // Empty records where nothing was said yet.
  const Owner& owner(const std::string& owner) const;
  const Run& run(const RunName& run) const;

  // The runs below the owner that something is known of.
  std::vector<RunName> RunsOf(const std::string& owner) const;

  // Whether the scheduler cannot have heard of this epoch yet.
  bool BeyondHorizon(const CheckpointName& checkpoint) const;

  // Every reference that keeps the manifest.
  std::vector<v1::Reference> ReasonsFor(const ManifestName& manifest) const;
  bool IsKept(const ManifestName& manifest) const;

  // Whether a person has pinned the manifest.
  bool IsPinned(const ManifestName& manifest) const;

 private:
  std::map<std::string, Owner> owners_;
  std::map<RunName, Run> runs_;
  // What owners_ holds, by manifest.
  absl::flat_hash_map<ManifestName, std::vector<v1::Reference>> by_manifest_;
};

}  // namespace headstart::storage
