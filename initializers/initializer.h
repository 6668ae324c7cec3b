// How a model's tensors get their first values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "base/dtype.h"

// Named here, included in the .cc files: the torch headers cost seconds each.
namespace at {
struct Generator;
}
namespace torch::nn {
class Module;
}

namespace headstart::initializers {

// A tensor of a checkpoint. The bytes are on loan from whoever opened it.
struct StoredTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  absl::Span<const char> bytes;  // Row-major, contiguous, little-endian.
};

// Where stored weights come from: in a trainer, memory that the agent has
// filled and checked; in a test, a map. No network, no path, no digest.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // The tensors of `checkpoint`, a full name as the initializer's spec has it.
  // They stay valid as long as this object.
  //   NotFound  the assignment did not bring it; a bug in the agent.
  virtual absl::StatusOr<std::vector<StoredTensor>> Open(
      absl::string_view checkpoint) = 0;
};

// What an initializer may use, lent for one Apply.
struct InitializerInputs {
  at::Generator& generator;  // On the CPU; the only source of randomness.
  WeightSource& weights;     // For transferred/.
};

// What an initializer did, for the run's record.
struct InitializationReport {
  int64_t loaded_tensors = 0;            // Copied from stored weights.
  std::vector<std::string> drawn_names;  // Drawn from the generator instead.
};

// Gives a freshly built model its starting weights.
//
// An object describes one starting point: drawn anew (classic/) or taken from
// a checkpoint (transferred/). registry.h builds it from the spec. It covers
// parameters and buffers, batch-norm statistics among them; optimizer state is
// not its business, so every training starts with an empty one.
//
// Everything is drawn on the CPU and copied to the model's device, in
// registration order, weight before bias: "seed to weights" does not depend on
// the device, nor on the number of threads.
class Initializer {
 public:
  virtual ~Initializer() = default;

  // Sets every tensor of `model`. Equal inputs and seeds give equal weights.
  // Checks all names, shapes and types before the first write: on these errors
  // `model` is untouched.
  //   FailedPrecondition  the stored weights do not fit the model; the message
  //                       lists the first mismatched tensors of each kind.
  //   NotFound            `weights` lacks a checkpoint that the spec names.
  // Call once, before the first training step, from the thread that trains.
  virtual absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const = 0;
};

}  // namespace headstart::initializers
