#include "storage/retention/collector.h"

#include <vector>

#include "base/log.h"
#include "base/status_macros.h"

namespace headstart::storage {
namespace {

// Removed with one write; commits wait meanwhile.
constexpr size_t kRemoveMax = 1000;

}  // namespace

absl::StatusOr<Collected> Collector::Collect() {
  Collected collected;
  HS_ASSIGN_OR_RETURN(collected.checkpoints_forgotten,
                      catalog_.ForgetUnreferenced(grace_));
  // Before the question what is needed: see PackStore::Remove.
  const absl::Duration cutoff = clock_.Monotonic() - grace_;
  std::vector<Digest> unneeded;
  HS_RETURN_IF_ERROR(
      blobs_.ForEachBlob([&](const Digest& digest, const BlobLocation&) {
        if (!catalog_.IsNeeded(digest)) unneeded.push_back(digest);
      }));
  absl::Span<const Digest> rest = unneeded;
  do {  // Also if there are none: it then forgets touches of long ago.
    const absl::Span<const Digest> some = rest.subspan(0, kRemoveMax);
    HS_ASSIGN_OR_RETURN(const int64_t bytes, blobs_.Remove(some, cutoff));
    collected.died_bytes += bytes;
    rest.remove_prefix(some.size());
  } while (!rest.empty());
  if (collected.checkpoints_forgotten > 0 || collected.died_bytes > 0) {
    HS_LOG(kInfo, "storage collected checkpoints_forgotten={} died_bytes={}",
           collected.checkpoints_forgotten, collected.died_bytes);
  }
  return collected;
}

}  // namespace headstart::storage
