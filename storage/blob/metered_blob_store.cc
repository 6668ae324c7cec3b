#include "storage/blob/metered_blob_store.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include "base/clock.h"

namespace headstart::storage {
namespace {

constexpr char kBytesName[] = "headstart_blob_bytes_total";
constexpr char kBytesHelp[] = "Bytes of blobs stored and fetched";

}  // namespace

MeteredBlobStore::MeteredBlobStore(BlobStore& store, Telemetry& telemetry)
    : store_(store),
      put_bytes_(
          telemetry.AddCounter(kBytesName, kBytesHelp, {{"direction", "put"}})),
      get_bytes_(telemetry.AddCounter(kBytesName, kBytesHelp,
                                      {{"direction", "get"}})) {
  constexpr const char* kOperations[] = {"put", "get", "find_missing"};
  constexpr const char* kOutcomes[] = {
      "ok",          "invalid_argument", "not_found", "resource_exhausted",
      "unavailable", "data_loss",        "other"};
  for (int operation = 0; operation < kOperationCount; ++operation) {
    for (int outcome = 0; outcome < kOutcomeCount; ++outcome) {
      seconds_[operation][outcome] = &telemetry.AddHistogram(
          "headstart_blob_operation_seconds",
          "Time that calls of the blob store took", Buckets::kCallSeconds,
          {{"operation", kOperations[operation]},
           {"code", kOutcomes[outcome]}});
    }
  }
}

absl::Status MeteredBlobStore::PutAll(absl::Span<const Blob> blobs) {
  const absl::Duration start = Clock::Real().Monotonic();
  const absl::Status status = store_.PutAll(blobs);
  Record(kPut, status, start);
  if (status.ok()) {
    for (const Blob& blob : blobs) put_bytes_.Increment(blob.bytes.size());
  }
  return status;
}

absl::StatusOr<absl::Cord> MeteredBlobStore::Get(const Digest& digest) const {
  const absl::Duration start = Clock::Real().Monotonic();
  absl::StatusOr<absl::Cord> bytes = store_.Get(digest);
  Record(kGet, bytes.status(), start);
  if (bytes.ok()) get_bytes_.Increment(bytes->size());
  return bytes;
}

absl::StatusOr<std::vector<Digest>> MeteredBlobStore::FindMissing(
    absl::Span<const Digest> digests) {
  const absl::Duration start = Clock::Real().Monotonic();
  absl::StatusOr<std::vector<Digest>> missing = store_.FindMissing(digests);
  Record(kFindMissing, missing.status(), start);
  return missing;
}

void MeteredBlobStore::Record(Operation operation, const absl::Status& status,
                              absl::Duration start) const {
  const absl::Duration spent = Clock::Real().Monotonic() - start;
  seconds_[operation][OutcomeOf(status)]->Observe(absl::ToDoubleSeconds(spent));
}

MeteredBlobStore::Outcome MeteredBlobStore::OutcomeOf(
    const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kOk;
    case absl::StatusCode::kInvalidArgument:
      return kInvalidArgument;
    case absl::StatusCode::kNotFound:
      return kNotFound;
    case absl::StatusCode::kResourceExhausted:
      return kResourceExhausted;
    case absl::StatusCode::kUnavailable:
      return kUnavailable;
    case absl::StatusCode::kDataLoss:
      return kDataLoss;
    default:
      return kOther;
  }
}

}  // namespace headstart::storage
