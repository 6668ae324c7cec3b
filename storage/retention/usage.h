// What checkpoints take, by reason, and what is dead.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "headstart/v1/checkpoint_service.pb.h"
#include "storage/catalog/rocksdb_catalog.h"
#include "storage/pack/pack_store.h"

namespace headstart::storage {

// Fills in all of GetUsageResponse. Reads every manifest below `parent`.
absl::StatusOr<v1::GetUsageResponse> ComputeUsage(const RocksdbCatalog& catalog,
                                                  const PackStore& blobs,
                                                  const std::string& folder,
                                                  absl::string_view parent);

}  // namespace headstart::storage
