// One forward pass of a training step, on any device.
#pragma once

#include <ATen/core/Tensor.h>

#include "worker/datasets/dataset.h"
#include "worker/models/model.h"
#include "worker/trainer/recipe.h"

namespace headstart::worker {

struct ForwardPass {
  at::Tensor logits;  // Float or double.
  at::Tensor loss;    // A scalar, of the same type.
};

// What a teacher says of a batch (distiller.h), and how much it counts.
struct Taught {
  at::Tensor targets;  // Probabilities [rows, classes]; undefined: nothing.
  double weight = 0;
};

// Of the batch, or a part of it whose loss counts by its `share`.
ForwardPass RunForward(Model& model, const Recipe& recipe, const Batch& part,
                       const Taught& taught, double share);

}  // namespace headstart::worker
