#include "worker/datasets/dataset.h"

#include <numeric>
#include <utility>

#include <ATen/ops/empty.h>

#include "base/check.h"

namespace headstart::worker {
namespace {

std::vector<int32_t> AllRows(const RawExamples& raw) {
  std::vector<int32_t> rows(raw.labels.size());
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

}  // namespace

Examples::Examples(const DatasetInfo& info,
                   std::shared_ptr<const RawExamples> raw)
    : info_(&info), raw_(std::move(raw)), rows_(AllRows(*raw_)) {}

Examples::Examples(const DatasetInfo& info,
                   std::shared_ptr<const RawExamples> raw,
                   std::vector<int32_t> rows)
    : info_(&info), raw_(std::move(raw)), rows_(std::move(rows)) {}

BatchReader::BatchReader(const Examples& examples, int64_t batch_size)
    : examples_(examples),
      image_bytes_(examples.info().channels * examples.info().height *
                   examples.info().width),
      normalized_(examples.info().channels),
      images_(at::empty({batch_size, examples.info().channels,
                         examples.info().height, examples.info().width},
                        at::kFloat)),
      labels_(at::empty({batch_size}, at::kLong)) {
  const DatasetInfo& info = examples.info();
  for (int64_t channel = 0; channel < info.channels; ++channel) {
    for (int pixel = 0; pixel < 256; ++pixel) {
      normalized_[channel][pixel] =
          static_cast<float>((pixel / 255.0 - info.mean[channel]) /
                             info.standard_deviation[channel]);
    }
  }
}

Batch BatchReader::Read(absl::Span<const int32_t> which) {
  const int64_t count = which.size();
  HS_CHECK(count <= images_.size(0));
  const int64_t plane = image_bytes_ / normalized_.size();
  const RawExamples& raw = *examples_.raw_;
  float* image = images_.mutable_data_ptr<float>();
  int64_t* label = labels_.mutable_data_ptr<int64_t>();
  for (const int32_t position : which) {
    const int32_t row = examples_.rows_[position];
    const uint8_t* pixel = raw.pixels.data() + row * image_bytes_;
    for (const std::array<float, 256>& normalized : normalized_) {
      for (int64_t i = 0; i < plane; ++i) *image++ = normalized[*pixel++];
    }
    *label++ = raw.labels[row];
  }
  return {.images = images_.narrow(0, 0, count),
          .labels = labels_.narrow(0, 0, count)};
}

}  // namespace headstart::worker
