// Removes what nobody keeps any more: the only code that lets weights go.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "storage/catalog/rocksdb_catalog.h"
#include "storage/pack/pack_store.h"

namespace headstart::storage {

struct Collected {
  int64_t checkpoints_forgotten = 0;
  int64_t died_bytes = 0;  // Of records in packs; the compactor frees them.
};

// Forgets manifests that have had no reason for the grace period, then removes
// blobs that no manifest needs and nobody has wanted for the grace period.
//
// A blob's record stays in its pack, dead, until the pack is rewritten.
//
// Borrows all it is given. Any thread may call.
class Collector {
 public:
  Collector(RocksdbCatalog& catalog, PackStore& blobs, const Clock& clock,
            absl::Duration grace)
      : catalog_(catalog), blobs_(blobs), clock_(clock), grace_(grace) {}

  absl::StatusOr<Collected> Collect();

 private:
  RocksdbCatalog& catalog_;
  PackStore& blobs_;
  const Clock& clock_;
  const absl::Duration grace_;
};

}  // namespace headstart::storage
