#include "worker/trainer/slab_source.h"

#include "absl/strings/str_cat.h"

namespace headstart::worker {

SlabSource::SlabSource(const Assignment& assignment) {
  for (size_t i = 0; i < assignment.assign.sources.size(); ++i) {
    const Source& source = assignment.assign.sources[i];
    const bool resume = source.role == SourceRole::kResume;
    Tensors& tensors = resume ? resume_ : initializer_[source.checkpoint];
    for (const TableEntry& entry : source.tensors) {
      if (!resume && entry.role != TensorRole::kParameter &&
          entry.role != TensorRole::kBuffer) {
        continue;
      }
      tensors.push_back({.name = entry.name,
                         .dtype = entry.dtype,
                         .shape = entry.shape,
                         .bytes = assignment.source_memory[i].Tensor(entry)});
    }
  }
}

absl::StatusOr<absl::Span<const initializers::StoredTensor>> SlabSource::Open(
    absl::string_view checkpoint) {
  const auto found = initializer_.find(checkpoint);
  if (found == initializer_.end()) {
    return absl::NotFoundError(
        absl::StrCat(checkpoint, " did not come with the assignment."));
  }
  return found->second;
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
