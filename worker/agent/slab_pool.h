// The slabs of one slot: who holds which.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "worker/agent/memory_budget.h"
#include "worker/trainer_protocol/slab.h"

namespace headstart::worker {

// A fixed number of slabs that one slot's assignments use one after another.
// Each slab belongs to the trainer, which may write to it, or to the agent,
// which stores what is in it.
//
// Owned by the slot, used on its thread; an upload reads a slab that is the
// agent's on another thread.
class SlabPool final {
 public:
  SlabPool(int64_t slab_count, MemoryBudget& memory)
      : slab_count_(slab_count), memory_(memory) {}

  // Makes every slab at least `bytes` large, keeping them if they are; all must
  // be the trainer's. ResourceExhausted when there is not so much memory; then
  // there are no slabs.
  absl::Status Prepare(int64_t bytes);

  // The trainer has filled `slab`: it is the agent's now. InvalidArgument when
  // it is no slab or the agent's already.
  absl::Status Take(int64_t slab);
  // The agent is done with it: it is the trainer's again.
  void Give(int64_t slab);

  // The trainer has none to write to.
  bool all_taken() const;

  const Slab& slab(int64_t index) const { return entries_[index].slab; }
  std::vector<int> descriptors() const;

 private:
  struct Entry {
    Slab slab;
    bool agents = false;
  };

  const int64_t slab_count_;
  MemoryBudget& memory_;
  MemoryBudget::Share share_;
  std::vector<Entry> entries_;  // All of one size.
};

}  // namespace headstart::worker
