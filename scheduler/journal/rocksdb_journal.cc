#include "scheduler/journal/rocksdb_journal.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/options.h"
#include "rocksdb/table.h"

namespace headstart::scheduler {
namespace {

constexpr char kMetaFamily[] = "meta";
constexpr char kEventsFamily[] = "events";
constexpr char kClusterIdKey[] = "cluster_id";
constexpr char kFormatVersionKey[] = "format_version";

constexpr size_t kMemtableBytes = 4 << 20;
constexpr size_t kBlockCacheBytes = 4 << 20;
constexpr int kOpenFilesMax = 64;

// Big-endian, so that RocksDB's order of bytes is the order of numbers.
std::string SequenceToKey(int64_t sequence) {
  std::string key(8, '\0');
  for (int i = 7; i >= 0; --i, sequence >>= 8) {
    key[i] = static_cast<char>(sequence & 0xff);
  }
  return key;
}

// 0 for what is no key of ours.
int64_t KeyToSequence(rocksdb::Slice key) {
  if (key.size() != 8) return 0;
  uint64_t sequence = 0;
  for (size_t i = 0; i < 8; ++i) {
    sequence = sequence << 8 | static_cast<unsigned char>(key[i]);
  }
  return static_cast<int64_t>(sequence);
}

// What a RocksDB status means for the journal in `folder`.
absl::Status FromRocksdb(const rocksdb::Status& status,
                         const std::string& folder) {
  if (status.ok()) return absl::OkStatus();
  const std::string text =
      absl::StrCat("the journal in ", folder, ": ", status.ToString());
  if (status.IsCorruption()) {
    return absl::DataLossError(
        absl::StrCat(text, ". Restore the folder from a backup."));
  }
  if (status.IsNoSpace()) {
    return absl::ResourceExhaustedError(
        absl::StrCat(text, ". Free space on its file system."));
  }
  return absl::UnavailableError(text);
}

rocksdb::DBOptions DatabaseOptions() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  // A write that was cut off by a crash was never answered and may go; damage
  // anywhere else must not be read over.
  options.wal_recovery_mode =
      rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.max_open_files = kOpenFilesMax;
  options.max_total_wal_size = 16 << 20;
  options.max_background_jobs = 2;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.max_log_file_size = 1 << 20;
  options.keep_log_file_num = 2;
  return options;
}

rocksdb::ColumnFamilyOptions FamilyOptions() {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  table.cache_index_and_filter_blocks = true;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = kMemtableBytes;
  options.max_write_buffer_number = 2;
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RocksdbJournal>> RocksdbJournal::Open(
    Options options) {
  auto journal =
      std::unique_ptr<RocksdbJournal>(new RocksdbJournal(options.folder));
  HS_RETURN_IF_ERROR(journal->OpenDatabase());
  HS_RETURN_IF_ERROR(journal->ReadMeta(options.new_cluster_id));
  HS_RETURN_IF_ERROR(journal->FindLastSequence());
  return journal;
}

RocksdbJournal::RocksdbJournal(std::string folder)
    : folder_(std::move(folder)) {}

RocksdbJournal::~RocksdbJournal() = default;

absl::Status RocksdbJournal::OpenDatabase() {
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, FamilyOptions()},
      {kMetaFamily, FamilyOptions()},
      {kEventsFamily, FamilyOptions()}};
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  HS_RETURN_IF_ERROR(FromRocksdb(
      rocksdb::DB::Open(DatabaseOptions(), folder_, families, &handles, &db),
      folder_));
  db_.reset(db);
  default_family_.reset(handles[0]);
  meta_family_.reset(handles[1]);
  events_family_.reset(handles[2]);
  return absl::OkStatus();
}

absl::Status RocksdbJournal::ReadMeta(const std::string& new_cluster_id) {
  std::string version_text;
  rocksdb::Status found = db_->Get(rocksdb::ReadOptions(), meta_family_.get(),
                                   kFormatVersionKey, &version_text);
  if (found.IsNotFound()) {
    HS_CHECK_EQ(new_cluster_id.size(), 32u);
    rocksdb::WriteBatch batch;
    batch.Put(meta_family_.get(), kFormatVersionKey,
              absl::StrCat(kJournalFormatVersion));
    batch.Put(meta_family_.get(), kClusterIdKey, new_cluster_id);
    rocksdb::WriteOptions synced;
    synced.sync = true;
    cluster_id_ = new_cluster_id;
    return FromRocksdb(db_->Write(synced, &batch), folder_);
  }
  HS_RETURN_IF_ERROR(FromRocksdb(found, folder_));

  int64_t version = 0;
  if (!absl::SimpleAtoi(version_text, &version) || version < 1) {
    return absl::DataLossError(
        absl::StrCat("the journal in ", folder_, " has format version \"",
                     version_text, "\". Restore the folder from a backup."));
  }
  if (version > kJournalFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the journal in ", folder_, " has format version ", version,
        "; this program reads version ", kJournalFormatVersion,
        ". Use the release that wrote it, or a later one."));
  }
  return FromRocksdb(db_->Get(rocksdb::ReadOptions(), meta_family_.get(),
                              kClusterIdKey, &cluster_id_),
                     folder_);
}

absl::Status RocksdbJournal::FindLastSequence() {
  std::unique_ptr<rocksdb::Iterator> last(
      db_->NewIterator(rocksdb::ReadOptions(), events_family_.get()));
  last->SeekToLast();
  if (last->Valid()) last_sequence_ = KeyToSequence(last->key());
  return FromRocksdb(last->status(), folder_);
}

absl::Status RocksdbJournal::Append(absl::Span<const Event> events) {
  rocksdb::WriteBatch batch;
  int64_t sequence = last_sequence();
  for (const Event& event : events) {
    batch.Put(events_family_.get(), SequenceToKey(++sequence),
              event.SerializeAsString());
  }
  rocksdb::WriteOptions synced;
  synced.sync = true;
  HS_RETURN_IF_ERROR(FromRocksdb(db_->Write(synced, &batch), folder_));
  last_sequence_.store(sequence, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status RocksdbJournal::ReadFrom(
    int64_t sequence,
    absl::FunctionRef<absl::Status(int64_t sequence, const Event& event)>
        visitor) const {
  HS_CHECK_GE(sequence, 1);
  const int64_t last = last_sequence();
  rocksdb::ReadOptions scan;
  scan.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(scan, events_family_.get()));
  int64_t expected = sequence;
  for (it->Seek(SequenceToKey(sequence)); it->Valid() && expected <= last;
       it->Next()) {
    const int64_t found = KeyToSequence(it->key());
    if (found != expected) break;
    Event event;
    if (!event.ParseFromArray(it->value().data(),
                              static_cast<int>(it->value().size())) ||
        event.format_version() < 1) {
      return absl::DataLossError(absl::StrCat(
          "the journal in ", folder_, ": event ", expected, " of ", last,
          " cannot be read. Restore the folder from a backup."));
    }
    if (event.format_version() > kJournalFormatVersion) {
      return absl::FailedPreconditionError(
          absl::StrCat("the journal in ", folder_, ": event ", expected,
                       " has format version ", event.format_version(),
                       "; this program reads version ", kJournalFormatVersion,
                       ". Use the release that wrote it, or a later one."));
    }
    HS_RETURN_IF_ERROR(visitor(expected, event));
    ++expected;
  }
  HS_RETURN_IF_ERROR(FromRocksdb(it->status(), folder_));
  if (expected <= last) {
    return absl::DataLossError(
        absl::StrCat("the journal in ", folder_, ": event ", expected, " of ",
                     last, " is missing. Restore the folder from a backup."));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> RocksdbJournal::FreeBytes() const {
  return headstart::FreeBytes(folder_);
}

}  // namespace headstart::scheduler
