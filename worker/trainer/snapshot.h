// What makes up a run's state, and its copy into a slab.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/types/span.h"

#include "worker/trainer_protocol/slab.h"

namespace headstart::worker {

// A tensor on loan that snapshots hold.
struct StateTensor {
  std::string name;
  at::Tensor tensor;  // Contiguous, on the CPU.
  TensorRole role;
};

// Where each tensor lies in every slab of an assignment.
TensorTable MakeTable(absl::Span<const StateTensor> tensors);

// Copies the tensors to their places, one memcpy each.
void CopyToSlab(absl::Span<const StateTensor> tensors, const TensorTable& table,
                const Slab& slab);

}  // namespace headstart::worker
