// The weights of stored checkpoints.
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"

#include "initializers/initializer.h"

namespace headstart::initializers {

struct NamedTensor;

// The proto's FromCheckpoint.
struct FromCheckpointOptions {
  std::string checkpoint;  // Full name: studies/1/trials/12/epochs/5.
  // Module name prefixes whose tensors are not loaded.
  std::vector<std::string> fresh_layers;
  bool buffers = true;
};

// The proto's MeanOfCheckpoints.
struct MeanOptions {
  std::vector<std::string> checkpoints;  // Two or more, none twice.
  std::vector<std::string> fresh_layers;
  bool buffers = true;
};

// All parameters of a checkpoint, or their mean over several ones, and with
// `buffers` the buffers too, but for the fresh layers; names, shapes and types
// must match exactly. Without buffers the running statistics of batch norms
// begin anew and other buffers stay.
//
// The mean of weights of one origin is often better than each of them (model
// soups, Wortsman et al. 2022). It is added up in double precision in the order
// given and rounded once, integers to the nearest one.
class StoredWeights final : public Initializer {
 public:
  // As the first of all steps it gives fresh layers the framework default; as
  // a later one it leaves them as they are.
  StoredWeights(FromCheckpointOptions options, bool is_first);
  StoredWeights(MeanOptions options, bool is_first);

  absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const override;

 private:
  bool IsFresh(absl::string_view tensor) const;
  absl::Status CheckLayers(absl::Span<const NamedTensor> tensors) const;

  const std::vector<std::string> checkpoints_;
  const std::vector<std::string> fresh_layers_;
  const bool buffers_;
  const bool is_first_;
};

}  // namespace headstart::initializers
