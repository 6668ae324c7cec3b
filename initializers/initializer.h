// How a model's tensors get their first values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

// Named here, included in the .cc files: the torch headers cost seconds each.
namespace at {
struct Generator;
}
namespace torch::nn {
class Module;
}

namespace headstart::initializers {

class TrainingSignal;  // learned/training_signal.h
struct StoredTensor;   // stored_tensor.h: name, dtype, shape, bytes on loan.

// Where stored weights come from: in a trainer, memory that the agent has
// filled and checked; in a test, a map. No network, no path, no digest.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // The tensors of `checkpoint`, a full name as the initializer's spec has it;
  // valid as long as the source.
  //   NotFound  the assignment did not bring it.
  virtual absl::StatusOr<absl::Span<const StoredTensor>> Open(
      absl::string_view checkpoint) = 0;

  // The masks that came with it, "mask.<parameter>" of BOOL, false where it is
  // left out; none where it is of a run without pruning.
  virtual absl::StatusOr<absl::Span<const StoredTensor>> OpenMasks(
      absl::string_view checkpoint) = 0;
};

// What an initializer may use, lent for one Apply.
struct InitializerInputs {
  at::Generator& generator;  // The only source of randomness; on the CPU.
  WeightSource& weights;     // For transferred/.
  // For learned/, which fail without one: the model's forward and its data.
  TrainingSignal* signal = nullptr;
};

// A tensor that was multiplied, and by what.
struct ScaledTensor {
  std::string name;
  double factor = 1;
};

// What a learned one measured: values[i] in iteration 1 + i * stride, NaN where
// it did not.
struct Series {
  std::string name;
  int64_t stride = 1;
  std::vector<double> values;
};

// What an initializer did, for the run's record. Equal inputs give equal
// reports.
struct InitializationReport {
  std::string kind;            // Its name in the proto; the registry's.
  int64_t loaded_tensors = 0;  // Made from stored weights.
  std::vector<std::string> drawn_names;  // Drawn from the generator.
  std::vector<ScaledTensor> scaled;
  std::vector<Series> series;
};

// Gives a freshly built model its starting weights.
//
// An object describes one starting point: drawn anew (classic/), learned from
// data (learned/) or taken from a checkpoint (transferred/). registry.h builds
// it from the recipe, in steps where it is made of several. It covers
// parameters and buffers, batch-norm statistics among them; optimizer state is
// not its business, so every training starts with an empty one.
class Initializer {
 public:
  virtual ~Initializer() = default;

  // Sets every tensor of `model`, which a shared_ptr owns; a step that is not
  // the first may set some and keep the others. Equal inputs and seeds give
  // equal weights, whatever the number of threads. Checks all names, shapes and
  // types before its first write: on these errors of a first step `model` is
  // untouched.
  //   FailedPrecondition  the stored weights do not fit the model, or the model
  //                       has tensors that this initializer cannot fill; the
  //                       message names the first of each kind.
  //   InvalidArgument     a learned one's options and the data do not go
  //                       together.
  //   OutOfRange          what it computes from data is not finite.
  //   Cancelled           as the signal says.
  //   NotFound            `weights` lacks a checkpoint that the spec names.
  // LibTorch's exceptions pass through. Call once, before the first training
  // step, from the thread that trains.
  virtual absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const = 0;
};

}  // namespace headstart::initializers
