// How good a model is on a set of examples.
#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

#include "absl/functional/function_ref.h"

#include "worker/models/precision.h"

namespace headstart::worker {

class Examples;
class Model;

struct Evaluation {
  double loss;      // Mean cross-entropy, in nats.
  double accuracy;  // Share classified correctly, 0 to 1.
};

// How many examples are measured at a time.
int64_t RowsAtOnce(const Examples& examples);

// Measures all examples, in eval mode and without gradients, in the arithmetic
// of `precision`; sums in double.
// Leaves the model in eval mode. None when `cancelled` became true, which is
// asked before every batch; at least one example is needed.
std::optional<Evaluation> Evaluate(Model& model, const Examples& examples,
                                   Precision precision,
                                   absl::FunctionRef<bool()> cancelled);

// How many rows of `logits` (float or double [n, classes], on the CPU) have
// their largest value, the first of equals, where `labels` (int64 [n]) says.
int64_t CountCorrect(const at::Tensor& logits, const at::Tensor& labels);

}  // namespace headstart::worker
