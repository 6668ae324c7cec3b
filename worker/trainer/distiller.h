// Distiller: the network that a stage learns from.
#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

#include "worker/datasets/dataset.h"
#include "worker/models/model.h"
#include "worker/models/precision.h"
#include "worker/training/stages.h"

namespace headstart::worker {

// Says what a frozen teacher thinks of images: probabilities [rows, classes],
// without gradients. One thread.
class Distiller final {
 public:
  Distiller(const DistillationOptions& options, Precision precision)
      : options_(options), precision_(precision) {}

  // Goes by `teacher` from now on, on its device; with cached targets it looks
  // at all of `examples`, which may take long.
  //   Cancelled  `cancelled` said so.
  absl::Status Teach(std::shared_ptr<Model> teacher, c10::Device device,
                     const Examples& examples,
                     absl::FunctionRef<bool()> cancelled);

  double weight() const { return options_.weight; }

  // Of training examples as they are: [examples, classes] on the teacher's
  // device. Undefined: the teacher is to see each batch.
  const at::Tensor& cached() const { return cached_; }

  // Of a batch.
  at::Tensor Targets(const at::Tensor& images) const;

 private:
  const DistillationOptions options_;
  const Precision precision_;
  std::shared_ptr<Model> teacher_;
  at::Tensor cached_;
};

}  // namespace headstart::worker
