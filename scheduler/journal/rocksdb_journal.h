// The journal in a RocksDB folder. docs/journal_format.md has its bytes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "scheduler/journal/journal.h"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
}  // namespace rocksdb

namespace headstart::scheduler {

// One synced write per Append, into the write-ahead log; RocksDB moves events
// into sorted files in the background. Memory stays below about 30 MB however
// long the journal is.
//
// Sketch: an event takes 100 to 500 bytes, a study of 27 trials with ASHA
// 1-3-9 about 300 of them; a synced write takes 0.2 to 0.5 ms here and holds
// everything that came in meanwhile.
class RocksdbJournal final : public Journal {
 public:
  struct Options {
    std::string folder;          // Made when missing; its parent exists.
    std::string new_cluster_id;  // 32 hex digits; taken when it is made.
  };

  //   DataLoss            the folder's files are damaged beyond a torn end.
  //   FailedPrecondition  it was written by a newer program.
  //   Unavailable         another process has it open.
  static absl::StatusOr<std::unique_ptr<RocksdbJournal>> Open(Options options);
  ~RocksdbJournal() override;

  absl::Status Append(absl::Span<const Event> events) override;
  absl::Status ReadFrom(
      int64_t sequence,
      absl::FunctionRef<absl::Status(int64_t sequence, const Event& event)>
          visitor) const override;
  int64_t last_sequence() const override {
    return last_sequence_.load(std::memory_order_acquire);
  }
  const std::string& cluster_id() const override { return cluster_id_; }
  absl::StatusOr<int64_t> FreeBytes() const override;

 private:
  explicit RocksdbJournal(std::string folder);

  absl::Status OpenDatabase();
  absl::Status ReadMeta(const std::string& new_cluster_id);
  absl::Status FindLastSequence();

  const std::string folder_;
  std::unique_ptr<rocksdb::DB> db_;
  std::unique_ptr<rocksdb::ColumnFamilyHandle> default_family_;
  std::unique_ptr<rocksdb::ColumnFamilyHandle> meta_family_;
  std::unique_ptr<rocksdb::ColumnFamilyHandle> events_family_;
  std::string cluster_id_;
  std::atomic<int64_t> last_sequence_ = 0;
};

}  // namespace headstart::scheduler
