// Arena: a run's tensors in a slab, and checkpoints without a copy.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <c10/core/Storage.h>

#include "absl/status/status.h"
#include "absl/types/span.h"

#include "worker/trainer/snapshot.h"
#include "worker/trainer_protocol/slab.h"
#include "worker/training/optimizer.h"

namespace headstart::worker {

// Lets a run's tensors live in one slab after another, each of which stays
// behind as the frozen snapshot of its epoch.
//
// Two storages hold all tensors at their offsets of the table, so a storage
// moves to another slab by one pointer:
//
//               MoveTo(next)          Step
//   parameters  stay, are read        read from the old slab, written to the
//   and what                          next one, then moved; in place from then
//   the optimizer
//   keeps
//   the rest    copied, then moved    in place
//
// Between the two calls forward passes read weights from the old slab and write
// batch norm's buffers to the next one: nothing writes to the old slab after
// MoveTo, which may be in other hands by then, and after the first Step nothing
// reads it. One thread.
class Arena final {
 public:
  // FailedPrecondition, with the reason, unless each of the tensors can be
  // moved: it has memory of its own on the CPU, which no other tensor sees.
  static absl::Status CanHold(absl::Span<const StateTensor> tensors);

  // That a core of this machine sees, where it is known.
  static int64_t LastLevelCacheBytes();

  // Moves the tensors, which CanHold, into `slab`, which must outlive them or
  // be left by MoveTo. Larger ones than `cache_bytes` move around the caches.
  Arena(std::vector<StateTensor> tensors, TensorTable table, const Slab& slab,
        int64_t cache_bytes = LastLevelCacheBytes());

  // Leaves everything in the present slab as it is now. Staying in the same
  // slab is allowed: then everything goes on in place.
  void MoveTo(const Slab& next);

  // One step of `optimizer`, whose parameters and state are tensors of this
  // arena. The first one after MoveTo writes to the next slab.
  void Step(Optimizer& optimizer, StepOptions options = {});

  // Copies what is still read from a slab that was left, so that everything may
  // be written in place.
  void Settle();

  // Whether a slab that was left is still read.
  bool moving() const { return shift_bytes_ != 0; }

 private:
  void FinishMove();
  // Whether backward could still be called through what a forward pass saved.
  bool GraphIsAlive() const;

  const std::vector<StateTensor> tensors_;
  const TensorTable table_;
  const bool streaming_;
  c10::Storage stepped_;  // Parameters and what the optimizer keeps.
  c10::Storage rest_;
  // From where what is stepped is to the next slab.
  std::ptrdiff_t shift_bytes_ = 0;
  bool told_of_graph_ = false;
};

}  // namespace headstart::worker
