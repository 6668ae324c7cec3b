// Commits and imports: how checkpoints come into the catalog.
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "storage/catalog/manifest.h"
#include "storage/catalog/rocksdb_catalog.h"
#include "storage/catalog/rocksdb_catalog_keys.h"

namespace headstart::storage {
namespace {

constexpr int kMissingShown = 10;

}  // namespace

absl::StatusOr<Digest> RocksdbCatalog::Commit(
    const v1::CommitCheckpointRequest& request) {
  HS_ASSIGN_OR_RETURN(const CommitProposal proposal,
                      CommitProposal::Check(request));
  MutexLock write_lock(&write_mu_);
  Verdict verdict;
  {
    MutexLock lock(&mu_);
    HS_ASSIGN_OR_RETURN(verdict, JudgeCommit(proposal));
    if (verdict == Verdict::kNothing) return proposal.weights.digest;
  }
  if (verdict == Verdict::kToken) {
    WriteToken(proposal);
    return proposal.weights.digest;
  }
  HS_RETURN_IF_ERROR(Claim(proposal));
  WriteCommit(proposal);
  return proposal.weights.digest;
}

absl::StatusOr<RocksdbCatalog::Verdict> RocksdbCatalog::JudgeCommit(
    const CommitProposal& proposal) const {
  HS_RETURN_IF_ERROR(CheckCluster(proposal.cluster_id));
  const CheckpointName& name = proposal.name;
  const std::string owner = name.run.ParentString();
  if (references_.owner(owner).deleted()) {
    return absl::AbortedError(absl::StrCat(name.ToString(),
                                           " was not stored: ", owner,
                                           " was deleted. Stop this trainer."));
  }
  const int64_t token = references_.run(name.run).token();
  if (proposal.token < token) {
    return absl::AbortedError(absl::StrCat(
        name.ToString(), " was not stored: attempt ", proposal.attempt,
        " has token ", proposal.token, ", and token ", token,
        " has been given out since. Stop this trainer."));
  }
  const auto it = entries_.find(name);
  if (it == entries_.end()) return Verdict::kAll;
  const Record& record = it->second.record;
  const bool beyond_horizon = references_.BeyondHorizon(name);
  const bool same_weights =
      record.manifest_digest() == proposal.weights.digest.bytes();
  const bool lacks_resume =
      proposal.resume.has_value() && record.resume_digest().empty();
  const bool same_resume =
      !proposal.resume.has_value() ||
      record.resume_digest() == proposal.resume->digest.bytes() ||
      (lacks_resume && !beyond_horizon);  // Let go since.
  if (same_weights && same_resume) {
    return proposal.token > token ? Verdict::kToken : Verdict::kNothing;
  }
  if (same_weights && lacks_resume) return Verdict::kAll;
  if (beyond_horizon && proposal.token > record.token() &&
      !references_.IsPinned({name, false}) &&
      !references_.IsPinned({name, true})) {
    return Verdict::kAll;
  }
  return absl::AlreadyExistsError(absl::StrCat(
      name.ToString(), " is stored by attempt ", record.attempt(),
      " with manifest ",
      Digest::FromBytes(record.manifest_digest())->ToString(), "; attempt ",
      proposal.attempt, " has ", proposal.weights.digest.ToString(),
      same_weights ? " and another resume manifest." : "."));
}

absl::Status RocksdbCatalog::Claim(const CommitProposal& proposal) {
  const auto count = [&](int change) {
    mu_.AssertHeld();
    CountNeeded(proposal.weights.manifest, change);
    if (proposal.resume.has_value()) {
      CountNeeded(proposal.resume->manifest, change);
    }
  };
  {
    MutexLock lock(&mu_);
    count(+1);
  }
  absl::Status checked = CheckBlobs(proposal);
  if (checked.ok()) {
    checked = options_.check_room(
        proposal.weights.bytes.size() +
        (proposal.resume.has_value() ? proposal.resume->bytes.size() : 0));
  }
  if (checked.ok()) return absl::OkStatus();
  MutexLock lock(&mu_);
  count(-1);
  ++version_;  // IsNeeded has said otherwise meanwhile.
  return Annotate(checked, proposal.name.ToString());
}

absl::Status RocksdbCatalog::CheckBlobs(const CommitProposal& proposal) {
  std::vector<ManifestBlob> blobs = BlobsOf(proposal.weights.manifest);
  if (proposal.resume.has_value()) {
    const std::vector<ManifestBlob> more = BlobsOf(proposal.resume->manifest);
    blobs.insert(blobs.end(), more.begin(), more.end());
  }
  std::vector<Digest> digests;
  for (const ManifestBlob& blob : blobs) digests.push_back(blob.digest);
  HS_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, blobs_.Touch(digests));
  std::vector<std::string> missing;
  for (size_t i = 0; i < blobs.size(); ++i) {
    if (sizes[i] == BlobInventory::kMissing) {
      missing.push_back(digests[i].ToString());
    } else if (sizes[i] != blobs[i].bytes) {
      return absl::InvalidArgumentError(absl::StrCat(
          "blob ", digests[i].ToString(), " has ", sizes[i],
          " bytes; its tensor's dtype and shape make ", blobs[i].bytes, "."));
    }
  }
  if (missing.empty()) return absl::OkStatus();
  const size_t count = missing.size();
  missing.resize(std::min<size_t>(count, kMissingShown));
  return absl::FailedPreconditionError(absl::StrCat(
      count, " of ", blobs.size(), " blobs are not stored: ",
      absl::StrJoin(missing, ", "), count > missing.size() ? ", ..." : "",
      ". Upload them, then commit again."));
}

void RocksdbCatalog::WriteToken(const CommitProposal& proposal) {
  References::Run run;
  {
    MutexLock lock(&mu_);
    run = references_.run(proposal.name.run);
  }
  run.set_token(proposal.token);
  rocksdb::WriteBatch batch;
  batch.Put(CatalogKey(kRunKey, RunKey(proposal.name.run)),
            run.SerializeAsString());
  WriteOrStop(*db_, batch);
  MutexLock lock(&mu_);
  references_.SetRun(proposal.name.run, std::move(run));
}

void RocksdbCatalog::DropManifests(const Record& record,
                                   rocksdb::WriteBatch& batch,
                                   std::vector<LetGo>& let_go) const {
  for (const std::string& bytes :
       {record.manifest_digest(), record.resume_digest()}) {
    if (bytes.empty()) continue;
    batch.Delete(CatalogKey(kManifestKey, bytes));
    AddLetGo(*Digest::FromBytes(bytes), let_go);
  }
}

RocksdbCatalog::Record RocksdbCatalog::PutManifests(
    const CommitProposal& proposal, rocksdb::WriteBatch& batch) const {
  Record record;
  record.set_manifest_digest(std::string(proposal.weights.digest.bytes()));
  record.set_attempt(proposal.attempt);
  record.set_token(proposal.token);
  *record.mutable_seconds() = proposal.seconds;
  record.set_peak_memory_bytes(proposal.peak_memory_bytes);
  const timespec time = absl::ToTimespec(clock_.Now());
  record.mutable_commit_time()->set_seconds(time.tv_sec);
  record.mutable_commit_time()->set_nanos(static_cast<int>(time.tv_nsec));
  *record.mutable_measurement() = proposal.weights.manifest.measurement();
  record.set_tensor_count(proposal.weights.manifest.tensors_size());
  record.set_tensor_bytes(TensorBytes(proposal.weights.manifest));
  batch.Put(CatalogKey(kManifestKey, proposal.weights.digest.bytes()),
            proposal.weights.bytes);
  if (proposal.resume.has_value()) {
    record.set_resume_digest(std::string(proposal.resume->digest.bytes()));
    record.set_resume_bytes(TensorBytes(proposal.resume->manifest));
    batch.Put(CatalogKey(kManifestKey, proposal.resume->digest.bytes()),
              proposal.resume->bytes);
  }
  batch.Put(CatalogKey(kCheckpointKey, CheckpointKey(proposal.name)),
            record.SerializeAsString());
  return record;
}

void RocksdbCatalog::WriteCommit(const CommitProposal& proposal) {
  std::optional<Record> replaced;
  References::Run run;
  internal::v1::StoreRecord store;
  {
    MutexLock lock(&mu_);
    const auto it = entries_.find(proposal.name);
    if (it != entries_.end()) replaced = it->second.record;
    run = references_.run(proposal.name.run);
    store = store_;
  }
  rocksdb::WriteBatch batch;
  std::vector<LetGo> let_go;
  if (replaced.has_value()) {
    HS_LOG(kInfo, "checkpoint replaced checkpoint={} attempt={} by_attempt={}",
           proposal.name, replaced->attempt(), proposal.attempt);
    DropManifests(*replaced, batch, let_go);
  }
  Record record = PutManifests(proposal, batch);
  run.set_token(std::max(run.token(), proposal.token));
  batch.Put(CatalogKey(kRunKey, RunKey(proposal.name.run)),
            run.SerializeAsString());
  if (store.cluster_id().empty()) {
    store.set_cluster_id(proposal.cluster_id);
    batch.Put(CatalogKey(kStoreKey), store.SerializeAsString());
  }
  WriteOrStop(*db_, batch);

  MutexLock lock(&mu_);
  store_ = std::move(store);
  for (const LetGo& each : let_go) CountLetGo(each);
  references_.SetRun(proposal.name.run, std::move(run));
  entries_[proposal.name] = Entry{.record = std::move(record)};
  Refresh(proposal.name);
  ++version_;
}

absl::StatusOr<v1::Checkpoint> RocksdbCatalog::Import(
    const v1::ImportCheckpointRequest& request) {
  HS_RETURN_IF_ERROR(CheckReason(request.reason()));
  HS_ASSIGN_OR_RETURN(const CommitProposal proposal,
                      CommitProposal::Check(request));
  const ManifestName name{proposal.name, /*resume=*/false};
  MutexLock write_lock(&write_mu_);
  {
    MutexLock lock(&mu_);
    HS_ASSIGN_OR_RETURN(const bool there, JudgeImport(proposal));
    if (there && references_.IsPinned(name)) {
      return Describe(name, entries_.at(proposal.name));
    }
  }
  // Also if it is there: it may have lost blobs that have just come again.
  HS_RETURN_IF_ERROR(Claim(proposal));
  return WriteImport(proposal, request.reason());
}

absl::StatusOr<bool> RocksdbCatalog::JudgeImport(
    const CommitProposal& proposal) const {
  const auto it = entries_.find(proposal.name);
  if (it == entries_.end()) return false;
  const std::string& digest = it->second.record.manifest_digest();
  if (digest == proposal.weights.digest.bytes()) return true;
  const ManifestName name{proposal.name, /*resume=*/false};
  if (!references_.IsKept(name)) return false;
  return absl::AlreadyExistsError(absl::StrCat(
      name.ToString(), " is stored with other tensors (manifest ",
      Digest::FromBytes(digest)->ToString(), "; the new one would be ",
      proposal.weights.digest.ToString(), "). Choose another name",
      references_.IsPinned(name)
          ? absl::StrCat(", or let the old one go first: headstart checkpoints "
                         "unpin ",
                         name.ToString(), ".")
          : absl::StrCat("; ", references_.ReasonsFor(name).front().owner(),
                         " still needs the old one.")));
}

v1::Checkpoint RocksdbCatalog::WriteImport(const CommitProposal& proposal,
                                           const std::string& reason) {
  const ManifestName name{proposal.name, /*resume=*/false};
  const std::string person(kPerson);
  std::optional<Record> replaced;
  References::Owner pins;
  {
    MutexLock lock(&mu_);
    const auto it = entries_.find(proposal.name);
    if (it != entries_.end()) replaced = it->second.record;
    pins = WithPin(name, reason);
  }
  rocksdb::WriteBatch batch;
  std::vector<LetGo> let_go;
  if (replaced.has_value()) DropManifests(*replaced, batch, let_go);
  Record record = PutManifests(proposal, batch);
  batch.Put(CatalogKey(kOwnerKey, person), pins.SerializeAsString());
  WriteOrStop(*db_, batch);
  HS_LOG(kInfo, "checkpoint imported checkpoint={} tensors={} bytes={}",
         proposal.name, record.tensor_count(), record.tensor_bytes());

  MutexLock lock(&mu_);
  for (const LetGo& each : let_go) CountLetGo(each);
  references_.SetOwner(person, std::move(pins));
  Entry& entry = entries_[proposal.name];
  entry = Entry{.record = std::move(record)};
  Refresh(proposal.name);
  ++version_;
  return Describe(name, entry);
}

}  // namespace headstart::storage
