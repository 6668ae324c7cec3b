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
//              MoveTo(next)          Step
//   buffers    copied, then moved    in place
//   the rest   stays, is read        read from the old slab, written to the
//                                    next one, then moved; in place from then
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

  // Whether a slab that was left is still read.
  bool moving() const { return shift_bytes_ != 0; }

 private:
  // Whether backward could still be called through what a forward pass saved.
  bool GraphIsAlive() const;

  const std::vector<StateTensor> tensors_;
  const TensorTable table_;
  const bool streaming_;
  c10::Storage buffers_;
  c10::Storage rest_;
  std::ptrdiff_t shift_bytes_ = 0;  // From where the rest is to the next slab.
  bool told_of_graph_ = false;
};

}  // namespace headstart::worker
