// Where each blob's record is: digest to pack and offset.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "storage/blob/digest.h"

namespace rocksdb {
class DB;
}

namespace headstart::storage {

struct BlobLocation {
  int64_t pack = 0;
  int64_t offset = 0;       // Of the record's header in the pack.
  int64_t stored_size = 0;  // Without the header.
  int64_t raw_size = 0;

  friend bool operator==(const BlobLocation&, const BlobLocation&) = default;
};

// A blob whose record was found damaged, or whose pack was gone.
struct QuarantinedBlob {
  Digest digest;
  BlobLocation location;  // Where it was; another record may be there by now.
  std::string found;
};

// Changes that become durable together.
struct PackIndexBatch {
  // Added or moved. Ends a quarantine.
  std::vector<std::pair<Digest, BlobLocation>> stored;
  std::vector<Digest> removed;
  std::vector<QuarantinedBlob> quarantined;
  // Up to where the index knows a pack's records.
  std::vector<std::pair<int64_t, int64_t>> pack_ends;
  std::vector<int64_t> removed_packs;
};

// The index of a PackStore, in RocksDB. docs/pack_format.md lists its keys.
//
// Reads may come from several threads at once; whoever reads and then applies
// what follows from it sees to it that nobody else applies in between.
class RocksdbPackIndex {
 public:
  static absl::StatusOr<std::unique_ptr<RocksdbPackIndex>> Open(
      const std::string& folder);
  ~RocksdbPackIndex();

  // Empty when the blob is not stored.
  absl::StatusOr<std::optional<BlobLocation>> Find(const Digest& digest) const;

  // What was found damaged, if the blob is in quarantine.
  absl::StatusOr<std::optional<std::string>> FindQuarantined(
      const Digest& digest) const;

  // By digest.
  absl::StatusOr<std::vector<QuarantinedBlob>> Quarantined() const;

  // All blobs, by digest, as they are when it begins.
  absl::Status ForEach(
      absl::FunctionRef<void(const Digest&, const BlobLocation&)> visit) const;

  absl::StatusOr<std::map<int64_t, int64_t>> PackEnds() const;

  // Durable at return; stops the process if that fails.
  void Apply(const PackIndexBatch& batch);

 private:
  explicit RocksdbPackIndex(std::unique_ptr<rocksdb::DB> db);

  const std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace headstart::storage
