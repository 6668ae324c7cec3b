// Images in memory as bytes, and batches of them as tensors.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/types/span.h"

#include "worker/dataset_files/dataset_files.h"

namespace headstart::worker {

// Part of a data set: some rows of what was read from the files.
//
// Pixels stay bytes, an eighth of what tensors of all parts would take; a batch
// is normalized while it is gathered.
class Examples final {
 public:
  // All rows of `raw`.
  Examples(const DatasetInfo& info, std::shared_ptr<const RawExamples> raw);
  // These rows only.
  Examples(const DatasetInfo& info, std::shared_ptr<const RawExamples> raw,
           std::vector<int32_t> rows);

  int64_t size() const { return rows_.size(); }
  const DatasetInfo& info() const { return *info_; }

 private:
  friend class BatchReader;

  const DatasetInfo* info_;
  std::shared_ptr<const RawExamples> raw_;
  std::vector<int32_t> rows_;
};

struct Batch {
  at::Tensor images;  // Float [n, channels, height, width], normalized.
  at::Tensor labels;  // Int64 [n].
};

// What a pixel of one channel becomes: pixel * scale + shift.
struct Normalization {
  float scale;
  float shift;
};

// Gathers batches of up to `batch_size` examples into the same two tensors
// again and again: what Read returned is overwritten by the next Read, so the
// step that uses a batch must be over by then. One thread; the examples must
// outlive it.
class BatchReader final {
 public:
  BatchReader(const Examples& examples, int64_t batch_size);

  // `which` counts within the examples, 0 .. size() - 1; at most batch_size.
  Batch Read(absl::Span<const int32_t> which);

 private:
  const Examples& examples_;
  const int64_t image_bytes_;
  std::vector<Normalization> channels_;
  at::Tensor images_;
  at::Tensor labels_;
};

}  // namespace headstart::worker
