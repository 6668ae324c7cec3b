// The mask of a lottery ticket.
#pragma once

#include <string>
#include <utility>

#include "initializers/initializer.h"

namespace headstart::initializers {

// The proto's StoredMask.
struct StoredMaskOptions {
  std::string checkpoint;  // Full name, of a run with pruning.
};

// What the masks of the checkpoint leave out becomes 0; all else stays. That it
// remains 0 is for who trains.
//   FailedPrecondition  the checkpoint has no masks, or they do not fit the
//                       model; the message names the first one.
class StoredMask final : public Initializer {
 public:
  explicit StoredMask(StoredMaskOptions options)
      : options_(std::move(options)) {}

  absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const override;

 private:
  const StoredMaskOptions options_;
};

}  // namespace headstart::initializers
