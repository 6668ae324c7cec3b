// Gives the room of dead records back to the file system.
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "storage/pack/pack_store.h"

namespace headstart::storage {

struct Compacted {
  int64_t freed_bytes = 0;
  int64_t packs_rewritten = 0;
};

// Rewrites packs that hold little else than dead records. Rewriting a half-dead
// pack moves one byte for each byte it frees, so that is the default.
//
// Borrows the store. Any thread may call; calls go one after another.
class Compactor {
 public:
  static constexpr double kDeadShareMin = 0.5;

  struct Options {
    // Packs with at least this share of dead bytes, above 0 to 1.
    double dead_share_min = kDeadShareMin;
    // Also the pack that is appended to. It soon fills and dies further, so
    // only a person who wants the room now asks for that.
    bool active_too = false;
  };

  explicit Compactor(PackStore& blobs) : blobs_(blobs) {}

  // Calls `progress` after each pack; an error from it ends the work.
  //   ResourceExhausted  not even room to move what is live.
  absl::StatusOr<Compacted> Compact(
      const Options& options,
      absl::FunctionRef<absl::Status(const Compacted&)> progress);

 private:
  PackStore& blobs_;
  Mutex mu_;  // Held while packs are rewritten.
};

}  // namespace headstart::storage
