// Which blobs make a checkpoint, and who keeps it: the names of the store.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/names.h"
#include "headstart/internal/v1/catalog.pb.h"
#include "headstart/v1/checkpoint_service.pb.h"
#include "storage/blob/blob_inventory.h"
#include "storage/blob/digest.h"
#include "storage/catalog/commit_proposal.h"
#include "storage/catalog/references.h"

namespace rocksdb {
class DB;
class Env;
class WriteBatch;
}  // namespace rocksdb

namespace headstart::storage {

struct RocksdbCatalogOptions {
  std::string folder;

  // ResourceExhausted when the disk has no room for this many bytes more.
  // Asked before commits and pins, not before what lets go of bytes.
  std::function<absl::Status(int64_t bytes)> check_room;

  // Gives the store to the next scheduler that calls, whatever its cluster:
  // forgets cluster id, scheduler sequence, tokens, horizons, and all
  // references but a person's. Checkpoints stay until it names its own under
  // the same names.
  bool adopt_cluster = false;

  // Where the files are; null for the machine's own. Tests fail reads here.
  rocksdb::Env* env = nullptr;
};

// A manifest that the catalog holds, and what it is needed for.
struct HeldManifest {
  ManifestName name;
  Digest digest;
  std::vector<v1::Reference> reasons;
};

// Names manifests: {checkpoint} and {checkpoint}/resume. Its records are in
// RocksDB (docs/manifest_format.md has the keys), each change one synced batch;
// all but the manifests themselves is in memory too.
//
// The order that keeps a commit safe from the collector: a commit first counts
// its blobs as needed, then asks the store whether they are there (which starts
// their grace period), then writes. The collector first asks here what is
// needed, then removes what nobody has wanted for a grace period. Whichever
// comes first, the other one sees it.
//
// Borrows `blobs` and `clock`, which must outlive it. All methods may be called
// from several threads at once.
class RocksdbCatalog {
 public:
  // Damaged manifests are logged and passed over.
  //   DataLoss  other records are damaged.
  //   Others    something cannot be read just now.
  static absl::StatusOr<std::unique_ptr<RocksdbCatalog>> Open(
      RocksdbCatalogOptions options, BlobInventory& blobs, const Clock& clock);
  ~RocksdbCatalog();

  // Makes an epoch a checkpoint; returns its manifest's digest. The same again
  // changes nothing.
  //   InvalidArgument     the manifests are not consistent in themselves.
  //   FailedPrecondition  blobs are missing; or another cluster's store.
  //   Aborted             a newer attempt of the run has been seen, or its
  //                       study or training was deleted.
  //   AlreadyExists       the epoch has another manifest, which the scheduler
  //                       knows or a person pinned, or of the same attempt.
  //   ResourceExhausted   the disk is full.
  absl::StatusOr<Digest> Commit(const v1::CommitCheckpointRequest& request);

  // Makes a person's tensors a checkpoint, pinned for the reason given. The
  // same again is a no-op, or pins it again; other tensors replace what nothing
  // keeps any more.
  //   InvalidArgument     the manifest is not an import's, or not consistent.
  //   FailedPrecondition  blobs are missing.
  //   AlreadyExists       the name has other tensors, which something keeps.
  //   ResourceExhausted   the disk is full.
  absl::StatusOr<v1::Checkpoint> Import(
      const v1::ImportCheckpointRequest& request);

  // As a user sees it, with its manifest. `name` may end in /resume.
  //   NotFound  says which epochs of the run there are.
  absl::StatusOr<v1::Checkpoint> Get(absl::string_view name) const;

  absl::StatusOr<v1::GetManifestsResponse> GetManifests(
      absl::string_view checkpoint) const;

  absl::StatusOr<v1::ListCheckpointsResponse> List(
      const v1::ListCheckpointsRequest& request) const;

  absl::StatusOr<v1::Checkpoint> Pin(const v1::PinCheckpointRequest& request);
  absl::StatusOr<v1::Checkpoint> Unpin(
      const v1::UnpinCheckpointRequest& request);

  // States an owner's whole desired set; see ReferenceService.
  absl::StatusOr<v1::SetReferencesResponse> SetReferences(
      const v1::SetReferencesRequest& request);

  // For usage and verification: the manifests of all checkpoints below
  // `parent` (a run, a study, a training, or empty for all), by name.
  absl::StatusOr<std::vector<HeldManifest>> Held(
      absl::string_view parent) const;

  // A held manifest's content. NotFound when it was let go meanwhile, DataLoss
  // when its bytes no longer have this digest.
  absl::StatusOr<v1::Manifest> ReadManifest(const Digest& digest) const;

  // Grows with every change of what is held, needed or referenced.
  int64_t version() const;

  // For retention. Whether any manifest, or a commit in progress, needs it.
  bool IsNeeded(const Digest& blob) const;

  // Forgets all manifests that have had no reason for `grace`; a manifest
  // without reason at Open counts from then. Returns how many checkpoints went
  // (resume manifests alone do not count).
  absl::StatusOr<int64_t> ForgetUnreferenced(absl::Duration grace);

 private:
  using Record = internal::v1::CheckpointRecord;
  struct Entry {
    Record record;
    // Since when nothing keeps it, on the monotonic clock.
    std::optional<absl::Duration> unkept_since;
    std::optional<absl::Duration> resume_unkept_since;
  };
  using Entries = std::map<CheckpointName, Entry>;
  struct LetGo {
    Digest digest;
    v1::Manifest manifest;
  };
  // A desired set of which further parts are to come.
  struct PartialSet {
    int64_t generation = 0;
    int64_t part_count = 0;  // That have come.
    std::map<std::pair<std::string, int>, v1::Reference> references;
    std::map<std::string, v1::RunHorizon> horizons;
  };

  RocksdbCatalog(RocksdbCatalogOptions options, BlobInventory& blobs,
                 const Clock& clock, std::unique_ptr<rocksdb::DB> db);

  absl::Status Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);
  absl::Status LoadCheckpoints() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status LoadReferences() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AdoptCluster() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Commit's steps. What a commit has to write, if it may.
  enum class Verdict { kNothing, kToken, kAll };
  absl::StatusOr<Verdict> JudgeCommit(const CommitProposal& proposal) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Counts its blobs as needed and looks whether they are stored and the rest
  // has room; counts them back if not.
  absl::Status Claim(const CommitProposal& proposal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);
  absl::Status CheckBlobs(const CommitProposal& proposal);
  void DropManifests(const Record& record, rocksdb::WriteBatch& batch,
                     std::vector<LetGo>& let_go) const;
  // The manifests and the record of their checkpoint, which is returned.
  Record PutManifests(const CommitProposal& proposal,
                      rocksdb::WriteBatch& batch) const;
  void WriteToken(const CommitProposal& proposal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);
  void WriteCommit(const CommitProposal& proposal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);

  // Import's steps. Whether the very same is there already.
  absl::StatusOr<bool> JudgeImport(const CommitProposal& proposal) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  v1::Checkpoint WriteImport(const CommitProposal& proposal,
                             const std::string& reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);

  // FailedPrecondition unless the store is this cluster's, or nobody's yet.
  absl::Status CheckCluster(absl::string_view cluster_id) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // SetReferences' steps.
  absl::Status JudgeReferences(const v1::SetReferencesRequest& request) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status AddPart(const v1::SetReferencesRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WriteReferences(const v1::SetReferencesRequest& request,
                       const PartialSet& set)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);

  static absl::Status CheckReason(const std::string& reason);
  // What people pin, with `name` pinned for the reason `why`, or not any more.
  References::Owner WithPin(const ManifestName& name,
                            const std::optional<std::string>& why) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The answer a request got the first time it came with this id.
  absl::StatusOr<std::optional<v1::Checkpoint>> FirstAnswer(
      const std::string& request_id, const std::string& request) const;
  // Pins for the reason `why`, or unpins; remembers the answer.
  absl::StatusOr<v1::Checkpoint> WritePin(const ManifestName& name,
                                          const std::optional<std::string>& why,
                                          const std::string& request_id,
                                          const std::string& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);

  // Forgets up to a hundred of them; returns how many of each.
  struct Forgotten {
    int64_t checkpoints = 0;
    int64_t manifests = 0;
  };
  absl::StatusOr<Forgotten> ForgetSome(absl::Duration grace);

  // Looks again whether something keeps it.
  void Refresh(const CheckpointName& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::StatusOr<const Entry*> Find(const ManifestName& name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  v1::Checkpoint Describe(const ManifestName& name, const Entry& entry) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Reads what is about to be deleted, then, once it is, counts its blobs down.
  void AddLetGo(const Digest& digest, std::vector<LetGo>& let_go) const;
  void CountLetGo(const LetGo& let_go) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CountNeeded(const v1::Manifest& manifest, int change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const RocksdbCatalogOptions options_;
  BlobInventory& blobs_;
  const Clock& clock_;
  const std::unique_ptr<rocksdb::DB> db_;

  // Held across a change and its wait for the disk: writers go one after
  // another. Taken before mu_.
  mutable Mutex write_mu_;

  mutable Mutex mu_;
  internal::v1::StoreRecord store_ ABSL_GUARDED_BY(mu_);
  Entries entries_ ABSL_GUARDED_BY(mu_);
  References references_ ABSL_GUARDED_BY(mu_);
  // How many manifests, and commits in progress, name a blob.
  absl::flat_hash_map<Digest, int64_t> needed_ ABSL_GUARDED_BY(mu_);
  // Manifests that Open found damaged; what they need is not in needed_.
  absl::flat_hash_set<Digest> uncounted_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, PartialSet> partial_sets_ ABSL_GUARDED_BY(mu_);
  // Remembered answers, oldest first.
  std::map<int64_t, std::string> answers_ ABSL_GUARDED_BY(mu_);
  int64_t version_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace headstart::storage
