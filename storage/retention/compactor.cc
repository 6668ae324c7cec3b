#include "storage/retention/compactor.h"

#include "base/log.h"
#include "base/status_macros.h"

namespace headstart::storage {
namespace {

bool IsWorthRewriting(const PackUsage& pack,
                      const Compactor::Options& options) {
  if (pack.active && (!options.active_too || pack.dead_bytes() == 0)) {
    return false;
  }
  const int64_t record_bytes = pack.bytes - kPackHeaderBytes;
  return static_cast<double>(pack.dead_bytes()) >=
         options.dead_share_min * static_cast<double>(record_bytes);
}

}  // namespace

absl::StatusOr<Compacted> Compactor::Compact(
    const Options& options,
    absl::FunctionRef<absl::Status(const Compacted&)> progress) {
  MutexLock lock(&mu_);
  Compacted compacted;
  for (const PackUsage& pack : blobs_.Packs()) {
    if (!IsWorthRewriting(pack, options)) continue;
    HS_ASSIGN_OR_RETURN(const int64_t freed, blobs_.Rewrite(pack.pack));
    compacted.freed_bytes += freed;
    ++compacted.packs_rewritten;
    HS_LOG(kInfo, "pack rewritten pack={} freed_bytes={}", pack.pack, freed);
    HS_RETURN_IF_ERROR(progress(compacted));
  }
  return compacted;
}

}  // namespace headstart::storage
