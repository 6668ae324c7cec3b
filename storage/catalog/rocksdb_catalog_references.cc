// References, pins, and forgetting what has none.
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/request_id.h"
#include "base/status_macros.h"
#include "storage/catalog/manifest.h"
#include "storage/catalog/rocksdb_catalog.h"
#include "storage/catalog/rocksdb_catalog_keys.h"

namespace headstart::storage {
namespace {

constexpr size_t kReferencesMax = 1'000'000;
constexpr size_t kAnswersMax = 1000;
constexpr size_t kReasonLengthMax = 200;
constexpr int kForgetMax = 100;

absl::Status CheckReferences(const v1::SetReferencesRequest& request) {
  if (request.cluster_id().empty()) {
    return absl::InvalidArgumentError("cluster_id is missing.");
  }
  const std::string& owner = request.owner();
  if (!StudyName::Parse(owner).ok() && !TrainingName::Parse(owner).ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("owner \"", owner.substr(0, 200),
                     "\": write a study or a training, such as studies/7."));
  }
  for (const v1::Reference& reference : request.references()) {
    HS_RETURN_IF_ERROR(
        Annotate(ManifestName::Parse(reference.checkpoint()).status(),
                 "references.checkpoint"));
    const v1::ReferenceReason reason = reference.reason();
    if (!v1::ReferenceReason_IsValid(reason) || reason == v1::PINNED ||
        reason == v1::REFERENCE_REASON_UNSPECIFIED) {
      return absl::InvalidArgumentError(absl::StrCat(
          "references.reason ", reason, " of ", reference.checkpoint(),
          ": a scheduler may give any reason but PINNED."));
    }
  }
  for (const v1::RunHorizon& horizon : request.horizons()) {
    const auto run = RunName::Parse(horizon.run());
    HS_RETURN_IF_ERROR(Annotate(run.status(), "horizons.run"));
    if (run->ParentString() != owner || horizon.known_epoch() < -1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "horizons: ", horizon.run(), " up to epoch ", horizon.known_epoch(),
          ": it must be a run of ", owner, ", and -1 or more."));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::SetReferencesResponse> RocksdbCatalog::SetReferences(
    const v1::SetReferencesRequest& request) {
  HS_RETURN_IF_ERROR(CheckReferences(request));
  MutexLock write_lock(&write_mu_);
  PartialSet set;
  {
    MutexLock lock(&mu_);
    HS_RETURN_IF_ERROR(JudgeReferences(request));
    const References::Owner& owner = references_.owner(request.owner());
    if (request.generation() < owner.generation()) {
      return v1::SetReferencesResponse();
    }
    HS_RETURN_IF_ERROR(AddPart(request));
    if (request.more()) return v1::SetReferencesResponse();
    set = std::move(partial_sets_.extract(request.owner()).mapped());
  }
  WriteReferences(request, set);

  v1::SetReferencesResponse response;
  MutexLock lock(&mu_);
  for (const auto& [key, reference] : set.references) {
    const auto name = ManifestName::Parse(reference.checkpoint());
    if (!Find(*name).ok()) response.add_missing(reference.checkpoint());
  }
  return response;
}

absl::Status RocksdbCatalog::JudgeReferences(
    const v1::SetReferencesRequest& request) const {
  HS_RETURN_IF_ERROR(CheckCluster(request.cluster_id()));
  if (request.scheduler_sequence() >= store_.scheduler_sequence()) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      options_.folder, " has seen the scheduler at sequence ",
      store_.scheduler_sequence(), "; the caller is at ",
      request.scheduler_sequence(),
      ", so its journal is an older copy. Start the scheduler on the newest "
      "journal, or go on with this one: start storage once with "
      "--adopt-cluster."));
}

absl::Status RocksdbCatalog::AddPart(const v1::SetReferencesRequest& request) {
  PartialSet& set = partial_sets_[request.owner()];
  if (set.generation != request.generation() || request.part() == 0) {
    set = PartialSet{.generation = request.generation()};
  }
  if (request.part() != set.part_count) {
    const int64_t part_count = set.part_count;
    partial_sets_.erase(request.owner());
    return absl::AbortedError(
        absl::StrCat(request.owner(), ": part ", request.part(),
                     " of generation ", request.generation(), " came after ",
                     part_count, " parts; send all parts again, from part 0."));
  }
  ++set.part_count;
  for (const v1::Reference& reference : request.references()) {
    set.references[{reference.checkpoint(), reference.reason()}] = reference;
  }
  for (const v1::RunHorizon& horizon : request.horizons()) {
    set.horizons[horizon.run()] = horizon;
  }
  if (set.references.size() <= kReferencesMax) return absl::OkStatus();
  partial_sets_.erase(request.owner());
  return absl::ResourceExhaustedError(absl::StrCat(
      request.owner(), " wants more than ", kReferencesMax, " references."));
}

void RocksdbCatalog::WriteReferences(const v1::SetReferencesRequest& request,
                                     const PartialSet& set) {
  const std::string& owner = request.owner();
  References::Owner record;
  record.set_generation(set.generation);
  record.set_deleted(request.deleted());
  for (const auto& [key, reference] : set.references) {
    *record.add_references() = reference;
    record.mutable_references()->rbegin()->set_owner(owner);
  }
  rocksdb::WriteBatch batch;
  std::map<RunName, References::Run> runs;
  std::vector<RunName> erased;
  std::set<CheckpointName> affected;
  internal::v1::StoreRecord store;
  bool changes = false;
  {
    MutexLock lock(&mu_);
    const References::Owner& old = references_.owner(owner);
    changes = old.SerializeAsString() != record.SerializeAsString();
    for (const auto& list : {old.references(), record.references()}) {
      for (const v1::Reference& reference : list) {
        affected.insert(
            ManifestName::Parse(reference.checkpoint())->checkpoint);
      }
    }
    for (const auto& [text, horizon] : set.horizons) {
      const RunName name = *RunName::Parse(text);
      References::Run run = references_.run(name);
      const std::string before = run.SerializeAsString();
      run.set_token(std::max(run.token(), horizon.token()));
      run.set_known(true);
      run.set_known_epoch(horizon.known_epoch());
      run.set_ended(horizon.ended());
      if (run.SerializeAsString() != before) runs[name] = std::move(run);
    }
    if (request.deleted()) {
      runs.clear();
      erased = references_.RunsOf(owner);
    }
    store = store_;
  }
  store.set_cluster_id(request.cluster_id());
  store.set_scheduler_sequence(request.scheduler_sequence());
  batch.Put(CatalogKey(kStoreKey), store.SerializeAsString());
  batch.Put(CatalogKey(kOwnerKey, owner), record.SerializeAsString());
  for (const auto& [name, run] : runs) {
    batch.Put(CatalogKey(kRunKey, RunKey(name)), run.SerializeAsString());
  }
  for (const RunName& name : erased) {
    batch.Delete(CatalogKey(kRunKey, RunKey(name)));
  }
  // Saying the same again, as schedulers do, costs no write. The sequence is
  // then in memory only: after a restart the next call tells it again.
  changes = changes || !runs.empty() || !erased.empty();
  if (changes) WriteOrStop(*db_, batch);

  MutexLock lock(&mu_);
  store_ = std::move(store);
  if (!changes) return;
  references_.SetOwner(owner, std::move(record));
  if (request.deleted()) references_.EraseRuns(owner);
  for (auto& [name, run] : runs) references_.SetRun(name, std::move(run));
  for (const CheckpointName& name : affected) Refresh(name);
  for (const auto& [name, entry] : entries_) {
    if (request.deleted() ? name.run.ParentString() == owner
                          : runs.contains(name.run)) {
      Refresh(name);
    }
  }
  ++version_;
}

void RocksdbCatalog::AdoptCluster() {
  rocksdb::WriteBatch batch;
  store_.clear_cluster_id();
  store_.clear_scheduler_sequence();
  batch.Put(CatalogKey(kStoreKey), store_.SerializeAsString());
  References adopted;
  adopted.SetOwner(std::string(kPerson),
                   references_.owner(std::string(kPerson)));
  references_ = std::move(adopted);
  batch.DeleteRange(CatalogKey(kRunKey), CatalogKey(kRunKey + 1));
  batch.DeleteRange(CatalogKey(kOwnerKey, "studies/"),
                    CatalogKey(kOwnerKey, "studies0"));
  batch.DeleteRange(CatalogKey(kOwnerKey, "trainings/"),
                    CatalogKey(kOwnerKey, "trainings0"));
  for (auto& [name, entry] : entries_) {
    entry.record.set_token(-1);  // Older than any token of the new scheduler.
    batch.Put(CatalogKey(kCheckpointKey, CheckpointKey(name)),
              entry.record.SerializeAsString());
  }
  WriteOrStop(*db_, batch);
  HS_LOG(kWarning, "store waits for a new cluster's scheduler folder={}",
         options_.folder);
}

absl::Status RocksdbCatalog::CheckReason(const std::string& reason) {
  if (!reason.empty() && reason.size() <= kReasonLengthMax) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "reason: 1 to ", kReasonLengthMax,
      " characters that say why it is kept, got ", reason.size(), "."));
}

References::Owner RocksdbCatalog::WithPin(
    const ManifestName& name, const std::optional<std::string>& why) const {
  const std::string text = name.ToString();
  const References::Owner& before = references_.owner(std::string(kPerson));
  References::Owner record;
  record.set_generation(before.generation() + 1);
  for (const v1::Reference& reference : before.references()) {
    if (reference.checkpoint() != text) *record.add_references() = reference;
  }
  if (why.has_value()) {
    v1::Reference& reference = *record.add_references();
    reference.set_checkpoint(text);
    reference.set_reason(v1::PINNED);
    reference.set_detail(*why);
  }
  return record;
}

absl::StatusOr<v1::Checkpoint> RocksdbCatalog::Pin(
    const v1::PinCheckpointRequest& request) {
  HS_ASSIGN_OR_RETURN(const ManifestName name,
                      ManifestName::Parse(request.name()));
  HS_RETURN_IF_ERROR(CheckReason(request.reason()));
  const std::string text =
      absl::StrCat("PinCheckpoint ", request.name(), " ", request.reason());
  MutexLock write_lock(&write_mu_);
  HS_ASSIGN_OR_RETURN(const auto first,
                      FirstAnswer(request.request_id(), text));
  if (first.has_value()) return *first;
  HS_RETURN_IF_ERROR(options_.check_room(0));
  return WritePin(name, request.reason(), request.request_id(), text);
}

absl::StatusOr<v1::Checkpoint> RocksdbCatalog::Unpin(
    const v1::UnpinCheckpointRequest& request) {
  HS_ASSIGN_OR_RETURN(const ManifestName name,
                      ManifestName::Parse(request.name()));
  const std::string text = absl::StrCat("UnpinCheckpoint ", request.name());
  MutexLock write_lock(&write_mu_);
  HS_ASSIGN_OR_RETURN(const auto first,
                      FirstAnswer(request.request_id(), text));
  if (first.has_value()) return *first;
  {
    MutexLock lock(&mu_);
    HS_RETURN_IF_ERROR(Find(name).status());
    if (!references_.IsPinned(name)) {
      return absl::NotFoundError(
          absl::StrCat(request.name(), " is not pinned."));
    }
  }
  return WritePin(name, std::nullopt, request.request_id(), text);
}

absl::StatusOr<std::optional<v1::Checkpoint>> RocksdbCatalog::FirstAnswer(
    const std::string& request_id, const std::string& request) const {
  HS_RETURN_IF_ERROR(CheckRequestId(request_id));
  std::string value;
  const rocksdb::Status status = db_->Get(
      rocksdb::ReadOptions(), CatalogKey(kAnswerKey, request_id), &value);
  if (status.IsNotFound()) return std::optional<v1::Checkpoint>();
  HS_RETURN_IF_ERROR(FromRocksdb(status, "reading the catalog"));
  internal::v1::AnswerRecord record;
  HS_RETURN_IF_ERROR(ParseRecord(value, record));
  if (record.request() != request) {
    return absl::InvalidArgumentError(absl::StrCat(
        "request_id \"", request_id, "\" was used for another request: ",
        record.request(), ". Draw a new one."));
  }
  return std::optional<v1::Checkpoint>(record.answer());
}

absl::StatusOr<v1::Checkpoint> RocksdbCatalog::WritePin(
    const ManifestName& name, const std::optional<std::string>& why,
    const std::string& request_id, const std::string& request) {
  const std::string person(kPerson);
  rocksdb::WriteBatch batch;
  v1::Checkpoint answer;
  References::Owner record;
  internal::v1::AnswerRecord remembered;
  std::vector<std::string> dropped;
  {
    MutexLock lock(&mu_);
    HS_ASSIGN_OR_RETURN(const Entry* const entry, Find(name));
    record = WithPin(name, why);
    references_.SetOwner(person, record);
    answer = Describe(name, *entry);
    Refresh(name.checkpoint);
    ++version_;
    remembered.set_number(answers_.empty() ? 1 : answers_.rbegin()->first + 1);
    answers_[remembered.number()] = request_id;
    while (answers_.size() > kAnswersMax) {
      dropped.push_back(answers_.begin()->second);
      answers_.erase(answers_.begin());
    }
  }
  batch.Put(CatalogKey(kOwnerKey, person), record.SerializeAsString());
  for (const std::string& id : dropped) {
    batch.Delete(CatalogKey(kAnswerKey, id));
  }
  remembered.set_request(request);
  *remembered.mutable_answer() = answer;
  batch.Put(CatalogKey(kAnswerKey, request_id), remembered.SerializeAsString());
  WriteOrStop(*db_, batch);
  return answer;
}

absl::StatusOr<int64_t> RocksdbCatalog::ForgetUnreferenced(
    absl::Duration grace) {
  int64_t checkpoints = 0;
  while (true) {
    HS_ASSIGN_OR_RETURN(const Forgotten forgotten, ForgetSome(grace));
    checkpoints += forgotten.checkpoints;
    if (forgotten.manifests == 0) return checkpoints;
  }
}

absl::StatusOr<RocksdbCatalog::Forgotten> RocksdbCatalog::ForgetSome(
    absl::Duration grace) {
  struct Change {
    CheckpointName name;
    Record record;
    bool weights_too = false;
  };
  MutexLock write_lock(&write_mu_);
  std::vector<Change> changes;
  {
    const absl::Duration now = clock_.Monotonic();
    const auto expired = [&](const std::optional<absl::Duration>& since) {
      return since.has_value() && now - *since >= grace;
    };
    MutexLock lock(&mu_);
    for (const auto& [name, entry] : entries_) {
      if (changes.size() == kForgetMax) break;
      const bool weights = expired(entry.unkept_since);
      if (!weights && (entry.record.resume_digest().empty() ||
                       !expired(entry.resume_unkept_since))) {
        continue;
      }
      changes.push_back({name, entry.record, weights});
    }
  }
  rocksdb::WriteBatch batch;
  std::vector<LetGo> let_go;
  const auto forget = [&](const std::string& bytes) {
    if (bytes.empty()) return;
    batch.Delete(CatalogKey(kManifestKey, bytes));
    AddLetGo(*Digest::FromBytes(bytes), let_go);
  };
  for (Change& change : changes) {
    const std::string key =
        CatalogKey(kCheckpointKey, CheckpointKey(change.name));
    forget(change.record.resume_digest());
    change.record.clear_resume_digest();
    change.record.clear_resume_bytes();
    if (change.weights_too) {
      forget(change.record.manifest_digest());
      batch.Delete(key);
    } else {
      batch.Put(key, change.record.SerializeAsString());
    }
  }
  if (changes.empty()) return Forgotten();
  WriteOrStop(*db_, batch);

  Forgotten forgotten;
  MutexLock lock(&mu_);
  for (const LetGo& each : let_go) CountLetGo(each);
  for (Change& change : changes) {
    ++forgotten.manifests;
    if (change.weights_too) {
      ++forgotten.checkpoints;
      entries_.erase(change.name);
    } else {
      entries_[change.name].record = std::move(change.record);
    }
  }
  ++version_;
  return forgotten;
}

}  // namespace headstart::storage
