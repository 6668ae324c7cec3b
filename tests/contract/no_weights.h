// For initializers that take nothing from a checkpoint.
#pragma once

#include "absl/status/status.h"

#include "initializers/initializer.h"

namespace headstart::initializers {

class NoWeights final : public WeightSource {
 public:
  absl::StatusOr<absl::Span<const StoredTensor>> Open(
      absl::string_view) override {
    return absl::NotFoundError("none");
  }
  absl::StatusOr<absl::Span<const StoredTensor>> OpenMasks(
      absl::string_view) override {
    return absl::NotFoundError("none");
  }
};

}  // namespace headstart::initializers
