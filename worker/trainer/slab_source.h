// Stored weights, out of the memory that came with an assignment.
#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "initializers/initializer.h"
#include "initializers/stored_tensor.h"
#include "worker/trainer/host.h"

namespace headstart::worker {

// Lends the tensors of an assignment's sources. The assignment must outlive it.
class SlabSource final : public initializers::WeightSource {
 public:
  explicit SlabSource(const Assignment& assignment);

  // Parameters and buffers of an initializer's checkpoint.
  absl::StatusOr<absl::Span<const initializers::StoredTensor>> Open(
      absl::string_view checkpoint) override;

  absl::StatusOr<absl::Span<const initializers::StoredTensor>> OpenMasks(
      absl::string_view checkpoint) override;

  // All that the run needs to go on.
  //   NotFound  the assignment brought no source of role resume.
  absl::StatusOr<absl::Span<const initializers::StoredTensor>> OpenResume()
      const;

 private:
  using Tensors = std::vector<initializers::StoredTensor>;

  struct Initial {
    Tensors weights;
    Tensors masks;
  };
  absl::StatusOr<const Initial*> Find(absl::string_view checkpoint) const;

  absl::flat_hash_map<std::string, Initial> initial_;
  Tensors resume_;
};

}  // namespace headstart::worker
