// Opening and reads; rocksdb_catalog_commits.cc and
// rocksdb_catalog_references.cc have the rest.
#include "storage/catalog/rocksdb_catalog.h"

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "storage/catalog/manifest.h"
#include "storage/catalog/rocksdb_catalog_keys.h"

namespace headstart::storage {
namespace {

constexpr int64_t kStoreFormatVersion = 1;
constexpr int64_t kPageSizeDefault = 100;
constexpr int64_t kPageSizeMax = 1000;

// Behind every import's name.
constexpr char kImportsEnd[] = "~";

// The runs that a List's parent stands for, the last one included.
struct Scope {
  RunName first;
  RunName last;
};

absl::StatusOr<Scope> ParseScope(absl::string_view parent) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  if (parent.empty()) {
    return Scope{RunName::Trial(0, 0), RunName::Import(kImportsEnd)};
  }
  if (parent == kImports) {
    return Scope{RunName::Import(""), RunName::Import(kImportsEnd)};
  }
  if (const auto run = RunName::Parse(parent); run.ok()) {
    return Scope{*run, *run};
  }
  if (const auto study = StudyName::Parse(parent); study.ok()) {
    return Scope{RunName::Trial(study->study, 0),
                 RunName::Trial(study->study, kMax)};
  }
  if (const auto training = TrainingName::Parse(parent); training.ok()) {
    return Scope{RunName::TrainingRun(training->training, 0),
                 RunName::TrainingRun(training->training, kMax)};
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "parent \"", parent.substr(0, 200),
      "\": write a study, a training or a run, such as studies/7 or "
      "trainings/2/runs/1, or imports, or nothing for all."));
}

// "0 to 3, 7".
std::string Ranges(const std::vector<int64_t>& epochs) {
  std::vector<std::string> ranges;
  for (size_t i = 0; i < epochs.size();) {
    size_t j = i;
    while (j + 1 < epochs.size() && epochs[j + 1] == epochs[j] + 1) ++j;
    ranges.push_back(j == i ? absl::StrCat(epochs[i])
                            : absl::StrCat(epochs[i], " to ", epochs[j]));
    i = j + 1;
  }
  return absl::StrJoin(ranges, ", ");
}

// DataLoss unless the record names a manifest, and a resume manifest or none.
absl::Status CheckDigests(const internal::v1::CheckpointRecord& record) {
  const auto is_digest = [](const std::string& bytes) {
    return Digest::FromBytes(bytes).ok();
  };
  if (is_digest(record.manifest_digest()) &&
      (record.resume_digest().empty() || is_digest(record.resume_digest()))) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(
      "the catalog's record has digests of ", record.manifest_digest().size(),
      " and ", record.resume_digest().size(), " bytes, not of ", Digest::kSize,
      "."));
}

}  // namespace

absl::StatusOr<std::unique_ptr<RocksdbCatalog>> RocksdbCatalog::Open(
    RocksdbCatalogOptions options, BlobInventory& blobs, const Clock& clock) {
  HS_ASSIGN_OR_RETURN(auto db, OpenRocksdb(options.folder, options.env));
  std::unique_ptr<RocksdbCatalog> catalog(
      new RocksdbCatalog(std::move(options), blobs, clock, std::move(db)));
  MutexLock lock(&catalog->write_mu_);
  HS_RETURN_IF_ERROR(catalog->Load());
  return catalog;
}

RocksdbCatalog::RocksdbCatalog(RocksdbCatalogOptions options,
                               BlobInventory& blobs, const Clock& clock,
                               std::unique_ptr<rocksdb::DB> db)
    : options_(std::move(options)),
      blobs_(blobs),
      clock_(clock),
      db_(std::move(db)) {}

RocksdbCatalog::~RocksdbCatalog() = default;

absl::Status RocksdbCatalog::Load() {
  MutexLock lock(&mu_);
  store_.set_format_version(kStoreFormatVersion);
  HS_RETURN_IF_ERROR(VisitCatalog(
      *db_, kStoreKey, [&](absl::string_view, absl::string_view value) {
        mu_.AssertHeld();
        return ParseRecord(value, store_);
      }));
  if (store_.format_version() != kStoreFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        options_.folder, " has format version ", store_.format_version(),
        "; this release knows ", kStoreFormatVersion, "."));
  }
  HS_RETURN_IF_ERROR(LoadReferences());
  HS_RETURN_IF_ERROR(LoadCheckpoints());
  if (options_.adopt_cluster) AdoptCluster();
  for (const auto& [name, entry] : entries_) Refresh(name);
  return absl::OkStatus();
}

absl::Status RocksdbCatalog::LoadReferences() {
  HS_RETURN_IF_ERROR(VisitCatalog(
      *db_, kOwnerKey, [&](absl::string_view key, absl::string_view value) {
        mu_.AssertHeld();
        internal::v1::OwnerRecord record;
        HS_RETURN_IF_ERROR(ParseRecord(value, record));
        for (const v1::Reference& reference : record.references()) {
          HS_RETURN_IF_ERROR(
              ManifestName::Parse(reference.checkpoint()).status());
        }
        references_.SetOwner(std::string(key), std::move(record));
        return absl::OkStatus();
      }));
  HS_RETURN_IF_ERROR(VisitCatalog(
      *db_, kRunKey, [&](absl::string_view key, absl::string_view value) {
        mu_.AssertHeld();
        HS_ASSIGN_OR_RETURN(const RunName run, ParseRunKey(key));
        internal::v1::RunRecord record;
        HS_RETURN_IF_ERROR(ParseRecord(value, record));
        references_.SetRun(run, std::move(record));
        return absl::OkStatus();
      }));
  return VisitCatalog(*db_, kAnswerKey,
                      [&](absl::string_view key, absl::string_view value) {
                        mu_.AssertHeld();
                        internal::v1::AnswerRecord record;
                        HS_RETURN_IF_ERROR(ParseRecord(value, record));
                        answers_[record.number()] = std::string(key);
                        return absl::OkStatus();
                      });
}

absl::Status RocksdbCatalog::LoadCheckpoints() {
  return VisitCatalog(
      *db_, kCheckpointKey,
      [&](absl::string_view key, absl::string_view value) {
        mu_.AssertHeld();
        HS_ASSIGN_OR_RETURN(const CheckpointName name, ParseCheckpointKey(key));
        Entry& entry = entries_[name];
        HS_RETURN_IF_ERROR(ParseRecord(value, entry.record));
        HS_RETURN_IF_ERROR(
            Annotate(CheckDigests(entry.record), name.ToString()));
        for (const std::string& bytes :
             {entry.record.manifest_digest(), entry.record.resume_digest()}) {
          if (bytes.empty()) continue;
          const Digest digest = *Digest::FromBytes(bytes);
          const auto manifest = ReadManifest(digest);
          if (manifest.ok()) {
            CountNeeded(*manifest, +1);
          } else if (absl::IsDataLoss(manifest.status()) ||
                     absl::IsNotFound(manifest.status())) {
            HS_LOG(kError, "manifest damaged checkpoint={} found=\"{}\"", name,
                   manifest.status());
            uncounted_.insert(digest);
          } else {
            // It may be read again later. Without it the collector would not
            // know that its blobs are needed, so nothing may start.
            return Annotate(manifest.status(), name.ToString());
          }
        }
        return absl::OkStatus();
      });
}

absl::Status RocksdbCatalog::CheckCluster(absl::string_view cluster_id) const {
  if (store_.cluster_id().empty() || store_.cluster_id() == cluster_id) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      options_.folder, " belongs to cluster ", store_.cluster_id(),
      "; the caller is of cluster ", cluster_id,
      ". Start the scheduler that belongs to this data folder, or give the "
      "store to the new one: start storage once with --adopt-cluster."));
}

absl::StatusOr<v1::Checkpoint> RocksdbCatalog::Get(
    absl::string_view text) const {
  HS_ASSIGN_OR_RETURN(const ManifestName name, ManifestName::Parse(text));
  v1::Checkpoint checkpoint;
  {
    MutexLock lock(&mu_);
    HS_ASSIGN_OR_RETURN(const Entry* const entry, Find(name));
    checkpoint = Describe(name, *entry);
  }
  HS_ASSIGN_OR_RETURN(const Digest digest,
                      Digest::FromBytes(checkpoint.manifest_digest()));
  auto manifest = ReadManifest(digest);
  HS_RETURN_IF_ERROR(Annotate(manifest.status(), checkpoint.name()));
  *checkpoint.mutable_manifest() = *std::move(manifest);
  return checkpoint;
}

absl::StatusOr<v1::GetManifestsResponse> RocksdbCatalog::GetManifests(
    absl::string_view text) const {
  HS_ASSIGN_OR_RETURN(const CheckpointName name, CheckpointName::Parse(text));
  Record record;
  {
    MutexLock lock(&mu_);
    HS_ASSIGN_OR_RETURN(const Entry* const entry, Find({name, false}));
    record = entry->record;
  }
  v1::GetManifestsResponse response;
  response.set_manifest_digest(record.manifest_digest());
  auto manifest = ReadManifest(*Digest::FromBytes(record.manifest_digest()));
  HS_RETURN_IF_ERROR(Annotate(manifest.status(), text));
  *response.mutable_manifest() = *std::move(manifest);
  if (record.resume_digest().empty()) return response;
  auto resume = ReadManifest(*Digest::FromBytes(record.resume_digest()));
  if (absl::IsNotFound(resume.status())) return response;  // Let go meanwhile.
  HS_RETURN_IF_ERROR(Annotate(resume.status(), absl::StrCat(text, "/resume")));
  *response.mutable_resume_manifest() = *std::move(resume);
  return response;
}

absl::StatusOr<v1::ListCheckpointsResponse> RocksdbCatalog::List(
    const v1::ListCheckpointsRequest& request) const {
  HS_ASSIGN_OR_RETURN(const Scope scope, ParseScope(request.parent()));
  if (request.page_size() < 0 || request.page_size() > kPageSizeMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size: from 1 to ", kPageSizeMax, ", or 0 for ",
                     kPageSizeDefault, "; got ", request.page_size(), "."));
  }
  const int64_t page_size =
      request.page_size() == 0 ? kPageSizeDefault : request.page_size();
  CheckpointName after{scope.first, -1};
  if (!request.page_token().empty()) {
    const auto token = CheckpointName::Parse(request.page_token());
    if (!token.ok()) {
      return absl::InvalidArgumentError(
          "page_token: pass the next_page_token of the page before.");
    }
    after = std::max(after, *token);
  }
  v1::ListCheckpointsResponse response;
  MutexLock lock(&mu_);
  for (auto it = entries_.upper_bound(after);
       it != entries_.end() && it->first.run <= scope.last; ++it) {
    if (response.checkpoints_size() == page_size) {
      response.set_next_page_token(
          response.checkpoints(static_cast<int>(page_size) - 1).name());
      break;
    }
    *response.add_checkpoints() = Describe({it->first, false}, it->second);
  }
  return response;
}

absl::StatusOr<std::vector<HeldManifest>> RocksdbCatalog::Held(
    absl::string_view parent) const {
  HS_ASSIGN_OR_RETURN(const Scope scope, ParseScope(parent));
  std::vector<HeldManifest> held;
  MutexLock lock(&mu_);
  for (auto it = entries_.lower_bound({scope.first, 0});
       it != entries_.end() && it->first.run <= scope.last; ++it) {
    for (const bool resume : {false, true}) {
      const Record& record = it->second.record;
      const auto digest = Digest::FromBytes(resume ? record.resume_digest()
                                                   : record.manifest_digest());
      if (!digest.ok()) continue;  // No resume manifest.
      const ManifestName name{it->first, resume};
      held.push_back({name, *digest, references_.ReasonsFor(name)});
    }
  }
  return held;
}

absl::StatusOr<v1::Manifest> RocksdbCatalog::ReadManifest(
    const Digest& digest) const {
  std::string bytes;
  const rocksdb::Status status = db_->Get(
      rocksdb::ReadOptions(), CatalogKey(kManifestKey, digest.bytes()), &bytes);
  if (status.IsNotFound()) {
    return absl::NotFoundError(
        absl::StrCat("manifest ", digest.ToString(), " is not stored."));
  }
  HS_RETURN_IF_ERROR(FromRocksdb(status, "reading a manifest"));
  v1::Manifest manifest;
  if (Digest::Of(bytes) != digest || !manifest.ParseFromString(bytes)) {
    return absl::DataLossError(
        absl::StrCat("manifest ", digest.ToString(), ": digest differs."));
  }
  return manifest;
}

int64_t RocksdbCatalog::version() const {
  MutexLock lock(&mu_);
  return version_;
}

bool RocksdbCatalog::IsNeeded(const Digest& blob) const {
  MutexLock lock(&mu_);
  return needed_.contains(blob);
}

void RocksdbCatalog::Refresh(const CheckpointName& name) {
  const auto it = entries_.find(name);
  if (it == entries_.end()) return;
  const absl::Duration now = clock_.Monotonic();
  const auto refresh = [&](bool kept, std::optional<absl::Duration>& since) {
    if (kept) {
      since.reset();
    } else if (!since.has_value()) {
      since = now;
    }
  };
  refresh(references_.IsKept({name, false}), it->second.unkept_since);
  refresh(references_.IsKept({name, true}), it->second.resume_unkept_since);
}

absl::StatusOr<const RocksdbCatalog::Entry*> RocksdbCatalog::Find(
    const ManifestName& name) const {
  const CheckpointName& checkpoint = name.checkpoint;
  const auto it = entries_.find(checkpoint);
  if (it == entries_.end()) {
    std::vector<int64_t> epochs;
    for (auto other = entries_.lower_bound({checkpoint.run, 0});
         other != entries_.end() && other->first.run == checkpoint.run;
         ++other) {
      epochs.push_back(other->first.epoch);
    }
    return absl::NotFoundError(
        epochs.empty()
            ? absl::StrCat(checkpoint.run.ToString(),
                           " has no checkpoints; the epoch asked for was ",
                           checkpoint.epoch, ".")
            : absl::StrCat(checkpoint.run.ToString(),
                           " has no checkpoint of epoch ", checkpoint.epoch,
                           "; there are ", Ranges(epochs), "."));
  }
  if (name.resume && it->second.record.resume_digest().empty()) {
    return absl::NotFoundError(absl::StrCat(
        checkpoint.ToString(), " has weights, but no state to resume from."));
  }
  return &it->second;
}

v1::Checkpoint RocksdbCatalog::Describe(const ManifestName& name,
                                        const Entry& entry) const {
  const Record& record = entry.record;
  v1::Checkpoint checkpoint;
  checkpoint.set_name(name.ToString());
  checkpoint.set_run(name.checkpoint.run.ToString());
  checkpoint.set_epoch(name.checkpoint.epoch);
  checkpoint.set_manifest_digest(name.resume ? record.resume_digest()
                                             : record.manifest_digest());
  *checkpoint.mutable_measurement() = record.measurement();
  checkpoint.set_tensor_bytes(record.tensor_bytes());
  checkpoint.set_tensor_count(record.tensor_count());
  checkpoint.set_resume_bytes(record.resume_bytes());
  for (v1::Reference& reference : references_.ReasonsFor(name)) {
    *checkpoint.add_references() = std::move(reference);
  }
  *checkpoint.mutable_commit_time() = record.commit_time();
  checkpoint.set_attempt(record.attempt());
  *checkpoint.mutable_seconds() = record.seconds();
  checkpoint.set_peak_memory_bytes(record.peak_memory_bytes());
  return checkpoint;
}

void RocksdbCatalog::AddLetGo(const Digest& digest,
                              std::vector<LetGo>& let_go) const {
  auto manifest = ReadManifest(digest);
  // One that cannot be read stays counted: its blobs are kept until a restart.
  if (manifest.ok()) let_go.push_back({digest, *std::move(manifest)});
}

void RocksdbCatalog::CountLetGo(const LetGo& let_go) {
  if (uncounted_.erase(let_go.digest) == 0) CountNeeded(let_go.manifest, -1);
}

void RocksdbCatalog::CountNeeded(const v1::Manifest& manifest, int change) {
  for (const ManifestBlob& blob : BlobsOf(manifest)) {
    const auto it = needed_.try_emplace(blob.digest, 0).first;
    it->second += change;
    HS_CHECK_GE(it->second, 0);
    if (it->second == 0) needed_.erase(it);
  }
}

}  // namespace headstart::storage
