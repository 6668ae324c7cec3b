// What an initializer that learns from data sees of the training to come.
#pragma once

#include <cstdint>
#include <utility>

#include <ATen/core/Tensor.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace headstart::initializers {

struct LabelledBatch {
  at::Tensor inputs;  // [n, ...], of the model's type.
  at::Tensor labels;  // Int64 [n].
};

// How far learning is: the names are those of the report's series.
struct LearningProgress {
  absl::string_view kind;  // Who learns: nio.
  int64_t iteration;       // 1, 2, ...
  int64_t iterations;      // 0: it cannot be told before.
  absl::Span<const std::pair<absl::string_view, double>> values;
};

// The model's forward pass and its training data. One thread.
class TrainingSignal {
 public:
  virtual ~TrainingSignal() = default;

  // Logits [n, classes], with autograd's graph.
  virtual at::Tensor Forward(const at::Tensor& inputs) = 0;

  // The next `examples` training examples in a seeded order, without
  // augmentation. There are as many.
  virtual LabelledBatch NextBatch(int64_t examples) = 0;

  // Asked before each iteration. Cancelled: nobody wants the result any more.
  virtual absl::Status GoOn() { return absl::OkStatus(); }

  // Told after each iteration.
  virtual void Note(const LearningProgress& progress) {
    static_cast<void>(progress);
  }
};

}  // namespace headstart::initializers
