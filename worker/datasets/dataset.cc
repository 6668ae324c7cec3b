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

// The widest vectors that the CPU has; a multiplication and an addition on each
// of them, never fused (see CMakeLists.txt), so that all make the same floats.
__attribute__((target_clones("avx512f", "avx2", "default"),
               optimize("O3"))) void
Normalize(const uint8_t* pixels, int64_t count, const Normalization channel,
          float* normalized) {
  for (int64_t i = 0; i < count; ++i) {
    normalized[i] = pixels[i] * channel.scale + channel.shift;
  }
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
      images_(at::empty({batch_size, examples.info().channels,
                         examples.info().height, examples.info().width},
                        at::kFloat)),
      labels_(at::empty({batch_size}, at::kLong)) {
  const DatasetInfo& info = examples.info();
  for (int64_t channel = 0; channel < info.channels; ++channel) {
    const double deviation = info.standard_deviation[channel];
    channels_.push_back(
        {.scale = static_cast<float>(1 / (255 * deviation)),
         .shift = static_cast<float>(-info.mean[channel] / deviation)});
  }
}

Batch BatchReader::Read(absl::Span<const int32_t> which) {
  const int64_t count = which.size();
  HS_CHECK(count <= images_.size(0));
  const int64_t plane = image_bytes_ / channels_.size();
  const RawExamples& raw = *examples_.raw_;
  float* image = images_.mutable_data_ptr<float>();
  int64_t* label = labels_.mutable_data_ptr<int64_t>();
  for (const int32_t position : which) {
    const int32_t row = examples_.rows_[position];
    const uint8_t* pixel = raw.pixels.data() + row * image_bytes_;
    for (const Normalization& channel : channels_) {
      Normalize(pixel, plane, channel, image);
      pixel += plane;
      image += plane;
    }
    *label++ = raw.labels[row];
  }
  return {.images = images_.narrow(0, 0, count),
          .labels = labels_.narrow(0, 0, count)};
}

}  // namespace headstart::worker
