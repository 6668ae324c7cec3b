// A BlobStore on local disk: append-only packs, and an index of them.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "storage/blob/blob_inventory.h"
#include "storage/blob/blob_store.h"
#include "storage/pack/pack_file.h"
#include "storage/pack/rocksdb_pack_index.h"

namespace headstart::storage {

struct PackStoreOptions {
  // Holds packs/ and index/; made if need be. Its lock is the caller's affair.
  std::string folder;

  // A pack that would grow past this is closed and the next one begun. One
  // blob larger than this gets a pack of its own.
  int64_t pack_bytes_max = int64_t{256} << 20;

  // Nothing is stored that would leave fewer free bytes on the file system.
  int64_t free_bytes_floor = int64_t{256} << 20;

  // Makes a file durable. Tests see here what is, and what was not yet.
  SyncFunction sync = fdatasync;
};

// One pack file. What is not live is dead: no blob's record any more.
struct PackUsage {
  int64_t pack = 0;
  int64_t bytes = 0;       // Of the file.
  int64_t live_bytes = 0;  // Of records in the index, their headers included.
  bool active = false;     // Still appended to.

  int64_t dead_bytes() const { return bytes - kPackHeaderBytes - live_bytes; }

  friend bool operator==(const PackUsage&, const PackUsage&) = default;
};

// Keeps each blob as a record in a pack, and the record's place in the index.
//
//   PutAll --> queue --> [ append all | fdatasync | one synced batch ] --> OK
//                          packs/00000003.pack         index/
//
// Whoever finds the queue unattended writes for all that wait in it, so that
// concurrent uploads share the two waits for the disk. A record that a crash
// left without its index entry is found again, or cut off if torn, by Open.
//
// Every read checks everything. What is damaged, or in a pack that is gone,
// goes into quarantine: it is never served, FindMissing reports it, and a Put
// stores it anew. Open, Readmit and Rewrite look again whether it is well after
// all, as when a disk was away. A read error alone is no damage.
//
// Removing is for storage/retention/ only. A blob cannot be removed until a
// grace period has passed since the last Put, FindMissing or Touch of it, or
// since Open: the store remembers these moments in memory only.
//
// All methods may be called from several threads at once.
class PackStore final : public BlobStore, public BlobInventory {
 public:
  // Finds out what is stored, and repairs what a crash left.
  //   DataLoss  the index cannot be read.
  static absl::StatusOr<std::unique_ptr<PackStore>> Open(
      PackStoreOptions options, const Clock& clock);

  // Also ResourceExhausted, naming folder and bytes, at the floor.
  absl::Status PutAll(absl::Span<const Blob> blobs) override;
  absl::StatusOr<absl::Cord> Get(const Digest& digest) const override;
  absl::StatusOr<std::vector<Digest>> FindMissing(
      absl::Span<const Digest> digests) override;
  absl::StatusOr<std::vector<int64_t>> Touch(
      absl::Span<const Digest> digests) override;

  // ResourceExhausted, naming folder and bytes, if `bytes` more would leave
  // less than the floor.
  absl::Status CheckRoom(int64_t bytes) const;

  // Takes blobs out of quarantine whose bytes are right. Logs what cannot be
  // read.
  void Readmit();

  // How many blobs were put in quarantine since Open.
  int64_t QuarantinedCount() const;

  // How many blobs it remembers a touch of.
  int64_t TouchedCount() const;

  // Every stored blob, by digest, as they are when it begins.
  absl::Status ForEachBlob(
      absl::FunctionRef<void(const Digest&, const BlobLocation&)> visit) const;

  // By number.
  std::vector<PackUsage> Packs() const;

  // PutAll calls that wait for the disk, those being written included.
  int64_t QueuedUploads() const;

  // Removes those of `digests` that nobody has touched since `cutoff`, on the
  // clock's Monotonic, and returns how many bytes of records died. Choose the
  // cutoff before asking what is needed: a commit in between has touched.
  absl::StatusOr<int64_t> Remove(absl::Span<const Digest> digests,
                                 absl::Duration cutoff);

  // Moves the live records of `pack` into the active one, makes them durable
  // there, and deletes the file. Returns by how many bytes packs shrank. The
  // active pack is closed first. Takes room below the floor, down to half.
  absl::StatusOr<int64_t> Rewrite(int64_t pack);

 private:
  // One PutAll that waits for its turn.
  struct Upload {
    std::vector<Record> records;
    int64_t bytes = 0;
    bool done = false;
    absl::Status result;
  };
  struct PackState {
    int64_t bytes = 0;
    int64_t live_bytes = 0;
  };
  // A record for WriteRecords; one that is moved says from where.
  struct Write {
    const Record* record = nullptr;
    const BlobLocation* from = nullptr;
  };

  PackStore(PackStoreOptions options, const Clock& clock,
            std::unique_ptr<RocksdbPackIndex> index);

  std::string PacksFolder() const;

  // Open's steps; in pack_store_recovery.cc.
  absl::Status Recover() ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);
  absl::Status RecoverPack(int64_t pack, int64_t indexed_end)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);

  // Says which are stored, marks them as wanted now, and so they stay stored
  // for a grace period.
  absl::StatusOr<std::vector<int64_t>> TouchStored(
      absl::Span<const Digest> digests);

  // Takes uploads off the queue's front and writes them as one group.
  void WriteGroup();

  // Appends, syncs, indexes. Skips what is stored by now, and moved records
  // that are no longer where they were. Marks new ones as wanted now.
  absl::Status WriteRecords(absl::Span<const Write> writes, int64_t floor)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);
  absl::Status PrepareWriter(int64_t bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);
  absl::Status CheckRoom(int64_t bytes, int64_t floor) const;

  // Rewrite's steps.
  absl::Status MoveRecords(
      absl::Span<const std::pair<Digest, BlobLocation>> records);
  absl::Status DeletePack(int64_t pack)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);

  // The record there, if it is this blob's and undamaged; else NotFound or
  // DataLoss, or Internal if that is not known.
  absl::StatusOr<RecordAndBlob> ReadBlob(const Digest& digest,
                                         const BlobLocation& location) const;

  // Readmit, of those that were in `pack` if that is given. Returns the first
  // error of what cannot be read just now.
  absl::Status ReadmitFrom(std::optional<int64_t> pack)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);
  void Quarantine(const Digest& digest, const BlobLocation& location,
                  const absl::Status& found) const;

  const PackStoreOptions options_;
  const Clock& clock_;
  const absl::Duration open_time_;
  const std::unique_ptr<RocksdbPackIndex> index_;

  // Held while packs or index change, across the waits for the disk: writers
  // go one after another. Taken before mu_.
  mutable Mutex write_mu_;
  std::unique_ptr<PackWriter> writer_ ABSL_GUARDED_BY(write_mu_);
  int64_t next_pack_ ABSL_GUARDED_BY(write_mu_) = 1;

  mutable Mutex mu_;
  std::deque<Upload*> queue_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  mutable std::map<int64_t, PackState> packs_ ABSL_GUARDED_BY(mu_);
  int64_t active_pack_ ABSL_GUARDED_BY(mu_) = 0;
  // When somebody last wanted a blob, on the monotonic clock.
  absl::flat_hash_map<Digest, absl::Duration> touched_ ABSL_GUARDED_BY(mu_);
  // Being taken out of the index just now; as good as gone.
  absl::flat_hash_set<Digest> leaving_ ABSL_GUARDED_BY(mu_);
  mutable int64_t quarantined_count_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace headstart::storage
