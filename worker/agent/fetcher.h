// A checkpoint's tensors into memory for the trainer.
#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "storage/blob/digest.h"
#include "worker/agent/memory_budget.h"
#include "worker/agent/storage_client.h"
#include "worker/agent/storage_retry.h"
#include "worker/trainer_protocol/messages.h"
#include "worker/trainer_protocol/slab.h"

namespace headstart::worker {

struct FetchedSource {
  Source source;  // As the trainer is told.
  Slab memory;    // What it describes.
  // Of that memory; a trainer may keep it to the end of the assignment.
  MemoryBudget::Share share;
  // Of the checkpoint's manifest.
  storage::Digest manifest_digest;
};

// Reads checkpoints back. Every blob is checked against its digest on this
// side, before the trainer sees it.
//
// Borrows what it is made with. One thread.
class Fetcher final {
 public:
  Fetcher(StorageClient& storage, StorageRetry retry, MemoryBudget& memory)
      : storage_(storage), retry_(std::move(retry)), memory_(memory) {}

  // Fetches the weights and, for a source to resume from, what else the run
  // needs. Repeats what may be repeated (StorageRetry).
  //   Cancelled          `cancel` was stopped.
  //   NotFound           there is no such checkpoint, or its resume part was
  //                      let go.
  //   DataLoss           a tensor is damaged.
  //   ResourceExhausted  there is no memory for it.
  absl::StatusOr<FetchedSource> Fetch(const std::string& checkpoint,
                                      SourceRole role, const StopEvent& cancel);

 private:
  absl::Status FetchTensor(const v1::Tensor& tensor, const TableEntry& entry,
                           const Slab& memory, const StopEvent& cancel);

  StorageClient& storage_;
  const StorageRetry retry_;
  MemoryBudget& memory_;
};

}  // namespace headstart::worker
