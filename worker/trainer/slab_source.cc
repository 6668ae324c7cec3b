#include "worker/trainer/slab_source.h"

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace headstart::worker {

SlabSource::SlabSource(const Assignment& assignment) {
  for (size_t i = 0; i < assignment.assign.sources.size(); ++i) {
    const Source& source = assignment.assign.sources[i];
    const bool resume = source.role == SourceRole::kResume;
    Initial& initial = initial_[source.checkpoint];
    for (const TableEntry& entry : source.tensors) {
      const bool is_weight = entry.role == TensorRole::kParameter ||
                             entry.role == TensorRole::kBuffer;
      if (!resume && !is_weight && entry.role != TensorRole::kMask) continue;
      Tensors& tensors =
          resume ? resume_ : (is_weight ? initial.weights : initial.masks);
      tensors.push_back({.name = entry.name,
                         .dtype = entry.dtype,
                         .shape = entry.shape,
                         .bytes = assignment.source_memory[i].Tensor(entry)});
    }
  }
}

absl::StatusOr<const SlabSource::Initial*> SlabSource::Find(
    absl::string_view checkpoint) const {
  const auto found = initial_.find(checkpoint);
  if (found == initial_.end()) {
    return absl::NotFoundError(
        absl::StrCat(checkpoint, " did not come with the assignment."));
  }
  return &found->second;
}

absl::StatusOr<absl::Span<const initializers::StoredTensor>> SlabSource::Open(
    absl::string_view checkpoint) {
  HS_ASSIGN_OR_RETURN(const Initial* initial, Find(checkpoint));
  return initial->weights;
}

absl::StatusOr<absl::Span<const initializers::StoredTensor>>
SlabSource::OpenMasks(absl::string_view checkpoint) {
  HS_ASSIGN_OR_RETURN(const Initial* initial, Find(checkpoint));
  return initial->masks;
}

absl::StatusOr<absl::Span<const initializers::StoredTensor>>
SlabSource::OpenResume() const {
  if (resume_.empty()) {
    return absl::NotFoundError(
        "the assignment begins after epoch 0 but brought no resume source.");
  }
  return resume_;
}

}  // namespace headstart::worker
