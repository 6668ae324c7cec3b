// A checkpoint as a safetensors file, piece by piece.
#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "headstart/v1/checkpoint_service.pb.h"
#include "storage/blob/blob_store.h"
#include "storage/catalog/rocksdb_catalog.h"

namespace headstart::storage {

// Sends the file from request.offset_bytes on, in pieces of at most 1 MiB; one
// tensor is in memory at a time. `send` returns false when nobody listens.
//
// The file's metadata says format, run, epoch, model, input_transform and the
// manifest's digest. Equal checkpoints give equal files.
//   NotFound         no such checkpoint.
//   InvalidArgument  an offset outside the file.
//   DataLoss         names the damaged tensor, and epochs that do not need it.
absl::Status Download(
    const RocksdbCatalog& catalog, const BlobStore& blobs,
    const v1::DownloadCheckpointRequest& request,
    absl::FunctionRef<bool(const v1::DownloadCheckpointResponse&)> send);

}  // namespace headstart::storage
