// What initializers that learn from data see of a run.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"

#include "initializers/learned/training_signal.h"
#include "worker/datasets/dataset.h"
#include "worker/models/model.h"
#include "worker/models/precision.h"

namespace headstart::worker {

// The run's training examples without augmentation, pass after pass, each in an
// order of its own that depends on the seed alone. Computes in the weights'
// type: BF16 counts as FP32.
class InitializerData final : public initializers::TrainingSignal {
 public:
  // `largest_batch` is at most the number of examples. All must outlive it.
  // `note` is told of each iteration of each step that learns.
  InitializerData(
      Model& model, const Examples& examples, int64_t largest_batch,
      Precision precision, int64_t seed, absl::FunctionRef<bool()> cancelled,
      absl::FunctionRef<void(const initializers::LearningProgress&)> note);

  at::Tensor Forward(const at::Tensor& inputs) override;
  initializers::LabelledBatch NextBatch(int64_t examples) override;
  absl::Status GoOn() override;
  void Note(const initializers::LearningProgress& progress) override {
    note_(progress);
  }

 private:
  Model& model_;
  const Examples& examples_;
  const Precision precision_;
  const int64_t seed_;
  const absl::FunctionRef<bool()> cancelled_;
  const absl::FunctionRef<void(const initializers::LearningProgress&)> note_;
  BatchReader reader_;
  std::vector<int32_t> order_;  // What is left of this pass.
  int64_t pass_ = 0;
};

}  // namespace headstart::worker
