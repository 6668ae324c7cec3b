// Reads everything that is stored, and says which checkpoints are damaged.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "headstart/v1/admin_service.pb.h"
#include "storage/blob/blob_store.h"
#include "storage/catalog/rocksdb_catalog.h"
#include "storage/pack/pack_store.h"

namespace headstart::storage {

// Re-hashes every blob (damaged ones go into quarantine, those that are well
// after all come out of it) and every manifest,
// and looks for every blob that a manifest names. Lists what is in `packs`, and
// reads it through `blobs`, which may count. Calls `progress` now and
// then; an error from it ends the work. Returns the last message of
// VerifyStorage: with done, and all damage.
absl::StatusOr<v1::VerifyStorageResponse> Verify(
    const RocksdbCatalog& catalog, PackStore& packs, const BlobStore& blobs,
    absl::FunctionRef<absl::Status(const v1::VerifyStorageResponse&)> progress);

}  // namespace headstart::storage
