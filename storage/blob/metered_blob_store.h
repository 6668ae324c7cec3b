// Counts and times what any BlobStore does.
#pragma once

#include <array>
#include <vector>

#include "base/net/telemetry.h"
#include "storage/blob/blob_store.h"

namespace headstart::storage {

// Passes everything on to `store`, and keeps
//   headstart_blob_operation_seconds{operation, code}
//   headstart_blob_bytes_total{direction}
// Bytes are those of successful calls.
//
// Borrows `store` and `telemetry`, which must outlive it.
class MeteredBlobStore final : public BlobStore {
 public:
  MeteredBlobStore(BlobStore& store, Telemetry& telemetry);

  absl::Status PutAll(absl::Span<const Blob> blobs) override;
  absl::StatusOr<absl::Cord> Get(const Digest& digest) const override;
  absl::StatusOr<std::vector<Digest>> FindMissing(
      absl::Span<const Digest> digests) override;

 private:
  enum Operation { kPut, kGet, kFindMissing, kOperationCount };
  // What a BlobStore answers; anything else counts as kOther.
  enum Outcome {
    kOk,
    kInvalidArgument,
    kNotFound,
    kResourceExhausted,
    kUnavailable,
    kDataLoss,
    kOther,
    kOutcomeCount
  };

  void Record(Operation operation, const absl::Status& status,
              absl::Duration start) const;
  static Outcome OutcomeOf(const absl::Status& status);

  BlobStore& store_;
  std::array<std::array<prometheus::Histogram*, kOutcomeCount>, kOperationCount>
      seconds_;
  prometheus::Counter& put_bytes_;
  prometheus::Counter& get_bytes_;
};

}  // namespace headstart::storage
