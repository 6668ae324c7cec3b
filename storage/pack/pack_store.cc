#include "storage/pack/pack_store.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "storage/blob/verifying_blob_store.h"

namespace headstart::storage {
namespace {

// Uploads written together, unless the first alone is larger.
constexpr int64_t kGroupBytesMax = int64_t{64} << 20;

// Bytes that a rewrite moves while other writers wait.
constexpr int64_t kMoveBytesMax = int64_t{8} << 20;

int64_t RecordBytes(const BlobLocation& location) {
  return kRecordHeaderBytes + location.stored_size;
}

// Of a read: the blob is not there, not merely out of reach.
bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsNotFound(status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<PackStore>> PackStore::Open(
    PackStoreOptions options, const Clock& clock) {
  HS_RETURN_IF_ERROR(MakeFolders(absl::StrCat(options.folder, "/packs")));
  HS_ASSIGN_OR_RETURN(auto index, RocksdbPackIndex::Open(
                                      absl::StrCat(options.folder, "/index")));
  std::unique_ptr<PackStore> store(
      new PackStore(std::move(options), clock, std::move(index)));
  {
    MutexLock lock(&store->write_mu_);
    HS_RETURN_IF_ERROR(store->Recover());
  }
  store->Readmit();
  return store;
}

PackStore::PackStore(PackStoreOptions options, const Clock& clock,
                     std::unique_ptr<RocksdbPackIndex> index)
    : options_(std::move(options)),
      clock_(clock),
      open_time_(clock.Monotonic()),
      index_(std::move(index)) {}

absl::Status PackStore::PutAll(absl::Span<const Blob> blobs) {
  std::vector<Digest> digests;
  digests.reserve(blobs.size());
  for (const Blob& blob : blobs) {
    HS_RETURN_IF_ERROR(CheckBlob(blob));
    digests.push_back(blob.digest);
  }
  HS_ASSIGN_OR_RETURN(const std::vector<int64_t> stored, TouchStored(digests));
  Upload upload;
  for (size_t i = 0; i < blobs.size(); ++i) {
    if (stored[i] != kMissing) continue;
    upload.records.push_back(MakeRecord(blobs[i].digest, blobs[i].bytes));
    upload.bytes += upload.records.back().bytes();
  }
  if (upload.records.empty()) return absl::OkStatus();

  {
    MutexLock lock(&mu_);
    queue_.push_back(&upload);
    mu_.Await([&] {
      mu_.AssertHeld();
      return upload.done || (!writing_ && queue_.front() == &upload);
    });
    if (upload.done) return upload.result;
    writing_ = true;
  }
  WriteGroup();
  return upload.result;
}

absl::StatusOr<absl::Cord> PackStore::Get(const Digest& digest) const {
  std::optional<BlobLocation> tried;
  while (true) {
    HS_ASSIGN_OR_RETURN(const auto location, index_->Find(digest));
    if (!location.has_value()) break;
    auto read = ReadBlob(digest, *location);
    if (read.ok()) return std::move(read->raw);
    if (!IsDamage(read.status())) {
      HS_LOG(kError, "blob cannot be read blob={} found=\"{}\"", digest,
             read.status());
      return Annotate(read.status(), digest.ToString());
    }
    // It may just have been moved, and its old pack deleted: look again.
    if (tried == location) Quarantine(digest, *location, read.status());
    tried = location;
  }
  HS_ASSIGN_OR_RETURN(const auto found, index_->FindQuarantined(digest));
  if (found.has_value()) {
    return absl::DataLossError(absl::StrCat(
        "blob ", digest.ToString(), " is damaged and in quarantine: ", *found));
  }
  return absl::NotFoundError(
      absl::StrCat("blob ", digest.ToString(), " is not stored."));
}

absl::StatusOr<std::vector<Digest>> PackStore::FindMissing(
    absl::Span<const Digest> digests) {
  HS_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, TouchStored(digests));
  std::vector<Digest> missing;
  for (size_t i = 0; i < digests.size(); ++i) {
    if (sizes[i] == kMissing) missing.push_back(digests[i]);
  }
  return missing;
}

absl::StatusOr<std::vector<int64_t>> PackStore::Touch(
    absl::Span<const Digest> digests) {
  return TouchStored(digests);
}

absl::StatusOr<std::vector<int64_t>> PackStore::TouchStored(
    absl::Span<const Digest> digests) {
  const auto look = [&](const Digest& digest) -> absl::StatusOr<int64_t> {
    HS_ASSIGN_OR_RETURN(const auto location, index_->Find(digest));
    return location.has_value() ? location->raw_size : kMissing;
  };
  // Only what is there is touched, lest anybody's questions fill the memory.
  std::vector<int64_t> sizes;
  sizes.reserve(digests.size());
  for (const Digest& digest : digests) {
    HS_ASSIGN_OR_RETURN(sizes.emplace_back(), look(digest));
  }
  {
    const absl::Duration now = clock_.Monotonic();
    MutexLock lock(&mu_);
    for (size_t i = 0; i < digests.size(); ++i) {
      if (sizes[i] == kMissing) continue;
      if (leaving_.contains(digests[i])) {
        sizes[i] = kMissing;
      } else {
        touched_[digests[i]] = now;
      }
    }
  }
  // After the touch once more: a Remove that comes from now on sees the touch
  // and leaves the blob, but one may have come before it.
  for (size_t i = 0; i < digests.size(); ++i) {
    if (sizes[i] == kMissing) continue;
    HS_ASSIGN_OR_RETURN(sizes[i], look(digests[i]));
  }
  return sizes;
}

void PackStore::WriteGroup() {
  std::vector<Upload*> group;
  std::vector<Write> writes;
  {
    MutexLock lock(&mu_);
    int64_t bytes = 0;
    for (Upload* upload : queue_) {
      if (!group.empty() && bytes + upload->bytes > kGroupBytesMax) break;
      bytes += upload->bytes;
      group.push_back(upload);
    }
  }
  for (Upload* upload : group) {
    for (const Record& record : upload->records) writes.push_back({&record});
  }
  absl::Status result;
  {
    MutexLock lock(&write_mu_);
    result = WriteRecords(writes, options_.free_bytes_floor);
  }
  MutexLock lock(&mu_);
  queue_.erase(queue_.begin(), queue_.begin() + group.size());
  for (Upload* upload : group) {
    upload->result = result;
    upload->done = true;
  }
  writing_ = false;
}

absl::Status PackStore::WriteRecords(absl::Span<const Write> writes,
                                     int64_t floor) {
  {
    const absl::Duration now = clock_.Monotonic();
    MutexLock lock(&mu_);
    for (const Write& write : writes) {
      if (write.from == nullptr) touched_[write.record->header.digest] = now;
    }
  }
  std::vector<Write> chosen;
  absl::flat_hash_set<Digest> seen;
  int64_t bytes = 0;
  for (const Write& write : writes) {
    const Digest& digest = write.record->header.digest;
    HS_ASSIGN_OR_RETURN(const auto location, index_->Find(digest));
    const bool wanted =
        write.from != nullptr ? location == *write.from : !location.has_value();
    if (!wanted || !seen.insert(digest).second) continue;
    chosen.push_back(write);
    bytes += write.record->bytes();
  }
  if (chosen.empty()) return absl::OkStatus();
  HS_RETURN_IF_ERROR(CheckRoom(bytes, floor));
  HS_RETURN_IF_ERROR(PrepareWriter(bytes));

  absl::Cord appended;
  PackIndexBatch batch;
  int64_t offset = writer_->end();
  for (const Write& write : chosen) {
    const RecordHeader& header = write.record->header;
    appended.Append(EncodeRecordHeader(header));
    appended.Append(write.record->stored);
    batch.stored.push_back({header.digest,
                            {.pack = writer_->pack(),
                             .offset = offset,
                             .stored_size = header.stored_size,
                             .raw_size = header.raw_size}});
    offset += write.record->bytes();
  }
  batch.pack_ends.push_back({writer_->pack(), offset});
  HS_RETURN_IF_ERROR(writer_->Append(appended));
  writer_->Sync();
  index_->Apply(batch);

  MutexLock lock(&mu_);
  packs_[writer_->pack()].bytes = offset;
  packs_[writer_->pack()].live_bytes += bytes;
  for (const Write& write : chosen) {
    if (write.from == nullptr) continue;
    packs_[write.from->pack].live_bytes -= write.record->bytes();
  }
  return absl::OkStatus();
}

absl::Status PackStore::PrepareWriter(int64_t bytes) {
  if (writer_ != nullptr && writer_->end() > kPackHeaderBytes &&
      writer_->end() + bytes > options_.pack_bytes_max) {
    writer_.reset();
  }
  if (writer_ == nullptr) {
    HS_ASSIGN_OR_RETURN(
        writer_, PackWriter::Create(PacksFolder(), next_pack_, options_.sync));
    ++next_pack_;
    MutexLock lock(&mu_);
    packs_[writer_->pack()].bytes = writer_->end();
  }
  MutexLock lock(&mu_);
  active_pack_ = writer_->pack();
  return absl::OkStatus();
}

absl::Status PackStore::CheckRoom(int64_t bytes) const {
  return CheckRoom(bytes, options_.free_bytes_floor);
}

absl::Status PackStore::CheckRoom(int64_t bytes, int64_t floor) const {
  HS_ASSIGN_OR_RETURN(const int64_t free_bytes, FreeBytes(options_.folder));
  if (free_bytes - bytes >= floor) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      options_.folder, ": ", bytes, " bytes more would leave ",
      std::max<int64_t>(0, free_bytes - bytes), " free, below the floor of ",
      floor, ". Free space on that disk, or delete what is no longer needed."));
}

absl::Status PackStore::ForEachBlob(
    absl::FunctionRef<void(const Digest&, const BlobLocation&)> visit) const {
  return index_->ForEach(visit);
}

std::vector<PackUsage> PackStore::Packs() const {
  MutexLock lock(&mu_);
  std::vector<PackUsage> usage;
  for (const auto& [pack, state] : packs_) {
    usage.push_back({.pack = pack,
                     .bytes = state.bytes,
                     .live_bytes = state.live_bytes,
                     .active = pack == active_pack_});
  }
  return usage;
}

int64_t PackStore::QueuedUploads() const {
  MutexLock lock(&mu_);
  return static_cast<int64_t>(queue_.size());
}

int64_t PackStore::QuarantinedCount() const {
  MutexLock lock(&mu_);
  return quarantined_count_;
}

int64_t PackStore::TouchedCount() const {
  MutexLock lock(&mu_);
  return static_cast<int64_t>(touched_.size());
}

absl::StatusOr<int64_t> PackStore::Remove(absl::Span<const Digest> digests,
                                          absl::Duration cutoff) {
  MutexLock write_lock(&write_mu_);
  PackIndexBatch batch;
  {
    MutexLock lock(&mu_);
    if (open_time_ >= cutoff) return 0;
    absl::erase_if(touched_,
                   [&](const auto& item) { return item.second < cutoff; });
    for (const Digest& digest : digests) {
      if (touched_.contains(digest)) continue;
      batch.removed.push_back(digest);
      leaving_.insert(digest);
    }
  }
  std::map<int64_t, int64_t> died;
  absl::Status found;
  for (const Digest& digest : batch.removed) {
    const auto location = index_->Find(digest);
    if (!location.ok()) found = location.status();
    if (!location.ok() || !location->has_value()) continue;
    died[(*location)->pack] += RecordBytes(**location);
  }
  if (found.ok() && !batch.removed.empty()) index_->Apply(batch);

  MutexLock lock(&mu_);
  leaving_.clear();
  HS_RETURN_IF_ERROR(found);
  int64_t died_bytes = 0;
  for (const auto& [pack, bytes] : died) {
    packs_[pack].live_bytes -= bytes;
    died_bytes += bytes;
  }
  return died_bytes;
}

absl::StatusOr<int64_t> PackStore::Rewrite(int64_t pack) {
  int64_t bytes = 0;
  int64_t live_bytes = 0;
  {
    MutexLock write_lock(&write_mu_);
    HS_RETURN_IF_ERROR(ReadmitFrom(pack));
    if (writer_ != nullptr && writer_->pack() == pack) writer_.reset();
    MutexLock lock(&mu_);
    const auto it = packs_.find(pack);
    if (it == packs_.end()) {
      return absl::NotFoundError(absl::StrCat("there is no pack ", pack, "."));
    }
    if (active_pack_ == pack) active_pack_ = 0;
    bytes = it->second.bytes;
    live_bytes = it->second.live_bytes;
  }
  std::vector<std::pair<Digest, BlobLocation>> records;
  if (live_bytes > 0) {
    HS_RETURN_IF_ERROR(index_->ForEach(
        [&](const Digest& digest, const BlobLocation& location) {
          if (location.pack == pack) records.push_back({digest, location});
        }));
    std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) {
      return a.second.offset < b.second.offset;
    });
  }
  absl::Span<const std::pair<Digest, BlobLocation>> rest = records;
  while (!rest.empty()) {
    size_t count = 0;
    int64_t moved_bytes = 0;
    do {
      moved_bytes += RecordBytes(rest[count++].second);
    } while (count < rest.size() &&
             moved_bytes + RecordBytes(rest[count].second) <= kMoveBytesMax);
    HS_RETURN_IF_ERROR(MoveRecords(rest.first(count)));
    rest.remove_prefix(count);
  }
  MutexLock write_lock(&write_mu_);
  {
    MutexLock lock(&mu_);
    HS_CHECK_EQ(packs_[pack].live_bytes, 0);
  }
  HS_RETURN_IF_ERROR(DeletePack(pack));
  return bytes - live_bytes;
}

absl::Status PackStore::MoveRecords(
    absl::Span<const std::pair<Digest, BlobLocation>> records) {
  std::vector<Record> moved;
  moved.reserve(records.size());  // `writes` points into it.
  std::vector<Write> writes;
  for (const auto& [digest, location] : records) {
    auto read = ReadBlob(digest, location);
    if (read.ok()) {
      moved.push_back(std::move(read->record));
      writes.push_back({&moved.back(), &location});
    } else if (IsDamage(read.status())) {
      Quarantine(digest, location, read.status());
    } else {
      return read.status();
    }
  }
  MutexLock lock(&write_mu_);
  return WriteRecords(writes, options_.free_bytes_floor / 2);
}

absl::Status PackStore::DeletePack(int64_t pack) {
  // The file first: an entry without its file is dropped by Open, but a file
  // without its entry would be read as new records.
  HS_RETURN_IF_ERROR(RemoveFile(PackPath(PacksFolder(), pack)));
  HS_RETURN_IF_ERROR(SyncFolder(PacksFolder()));
  PackIndexBatch batch;
  batch.removed_packs.push_back(pack);
  index_->Apply(batch);
  MutexLock lock(&mu_);
  packs_.erase(pack);
  return absl::OkStatus();
}

void PackStore::Quarantine(const Digest& digest, const BlobLocation& location,
                           const absl::Status& found) const {
  MutexLock write_lock(&write_mu_);
  const auto now = index_->Find(digest);
  if (!now.ok() || *now != location) return;  // Removed or moved meanwhile.
  HS_LOG(kError, "blob damaged, put in quarantine blob={} found=\"{}\"", digest,
         found);
  PackIndexBatch batch;
  batch.quarantined.push_back({digest, location, std::string(found.message())});
  index_->Apply(batch);
  MutexLock lock(&mu_);
  packs_[location.pack].live_bytes -= RecordBytes(location);
  ++quarantined_count_;
}

void PackStore::Readmit() {
  MutexLock lock(&write_mu_);
  const absl::Status status = ReadmitFrom(std::nullopt);
  if (!status.ok()) {
    HS_LOG(kError, "quarantine cannot be read found=\"{}\"", status);
  }
}

absl::Status PackStore::ReadmitFrom(std::optional<int64_t> pack) {
  HS_ASSIGN_OR_RETURN(const std::vector<QuarantinedBlob> quarantined,
                      index_->Quarantined());
  absl::Status first_error;
  for (const QuarantinedBlob& blob : quarantined) {
    if (pack.has_value() && blob.location.pack != *pack) continue;
    const auto read = ReadBlob(blob.digest, blob.location);
    if (!read.ok()) {
      if (!IsDamage(read.status())) first_error.Update(read.status());
      continue;
    }
    HS_LOG(kInfo, "blob is well after all, taken out of quarantine blob={}",
           blob.digest);
    PackIndexBatch batch;
    batch.stored.push_back({blob.digest, blob.location});
    index_->Apply(batch);
    MutexLock lock(&mu_);
    packs_[blob.location.pack].live_bytes += RecordBytes(blob.location);
  }
  return first_error;
}

absl::StatusOr<RecordAndBlob> PackStore::ReadBlob(
    const Digest& digest, const BlobLocation& location) const {
  auto read =
      ReadRecord(PackPath(PacksFolder(), location.pack), location.offset);
  if (read.ok() && (read->record.header.digest != digest ||
                    read->record.header.stored_size != location.stored_size)) {
    return absl::DataLossError(absl::StrCat("pack ", location.pack, " at ",
                                            location.offset,
                                            " holds another blob."));
  }
  return read;
}

std::string PackStore::PacksFolder() const {
  return absl::StrCat(options_.folder, "/packs");
}

}  // namespace headstart::storage
