// Images in memory as bytes, and batches of them as tensors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "base/random_stream.h"
#include "worker/datasets/augmentation.h"
#include "worker/datasets/augmentation_math.h"
#include "worker/datasets/image_source.h"
#include "worker/datasets/split.h"

namespace headstart::worker {

// What a model is fed with.
struct InputInfo {
  int64_t channels;
  int64_t height;
  int64_t width;
  int64_t classes;
  // Per channel, of pixels scaled to [0, 1].
  std::vector<double> mean;
  std::vector<double> standard_deviation;
  bool resized = false;  // The files' images have other sizes.
};

// How pixels become a model's input, as the manifest has it:
// "pixel/255; mean 0.1307; std 0.3081".
std::string InputTransform(const InputInfo& info);

// Part of a data set: some rows of what was read from the files, and what is
// to be learned of each.
//
// Pixels stay bytes, a quarter of what tensors would take; a batch is
// normalized while it is gathered.
class Examples final {
 public:
  // `rows` of `source`, prepared where a BatchReader wants them so.
  Examples(InputInfo info, std::shared_ptr<const ImageSource> source,
           Rows rows);

  int64_t size() const { return rows_.rows.size(); }
  const InputInfo& info() const { return info_; }
  int64_t image_bytes() const {
    return info_.channels * info_.height * info_.width;
  }

  // Of the example at a position, 0 .. size() - 1. The row names an example
  // within its official part, whatever the split.
  int32_t row(int64_t position) const { return rows_.rows[position]; }
  int32_t label(int64_t position) const { return rows_.labels[position]; }
  const uint8_t* pixels(int64_t position) const {
    return source_->Pixels(row(position));
  }
  // As its file has it (ImageSource::Original).
  absl::StatusOr<Image> original(int64_t position) const {
    return source_->Original(row(position));
  }

 private:
  InputInfo info_;
  std::shared_ptr<const ImageSource> source_;
  Rows rows_;
};

struct Batch {
  // Float [n, channels, height, width], normalized; of three channels in the
  // channels-last memory format.
  at::Tensor images;
  at::Tensor labels;  // Int64 [n].
  // With mixup: image i is mix_weight of one labelled labels[i] and the rest of
  // one labelled mixed_labels[i], and the loss is to be weighed alike. Without:
  // undefined, and 1.
  at::Tensor mixed_labels;
  double mix_weight = 1;
  // On a device that has it ahead of the host: counts in its place. Double
  // scalar.
  at::Tensor mix_weight_tensor = {};
};

// What is drawn for one batch, for a device that applies it itself
// (BatchReader::ReadAugmented does both).
struct BatchPlan {
  std::vector<ImagePlan> images;
  // With mixup: image i is mix_weight of image i and the rest of image
  // partners[i] of the batch. Without: empty, and 1.
  std::vector<int32_t> partners;
  double mix_weight = 1;
};

// Batch `batch` (from 0) of epoch `epoch` (from 1); all but resized crops.
BatchPlan PlanBatch(const Examples& examples,
                    const AugmentationOptions& options, int64_t seed,
                    int64_t epoch, int64_t batch,
                    absl::Span<const int32_t> which);

// How pixels are normalized, by channel.
std::vector<Normalization> MakeNormalization(const InputInfo& info);

// Batches of colour images are in the channels-last memory format, to which
// models bring them anyway.
bool IsInterleaved(const InputInfo& info);

// Gathers batches of up to `batch_size` examples into the same tensors again
// and again: what a Read returned is overwritten by the next one, so the step
// that uses a batch must be over by then. One thread at a time, LibTorch's own
// beside it; the examples must outlive it.
class BatchReader final {
 public:
  // Reads images as they are.
  BatchReader(const Examples& examples, int64_t batch_size);
  // Also augments, as a pure function of `seed`, the epoch and the example;
  // mixup of `seed`, the epoch and the batch.
  BatchReader(const Examples& examples, const AugmentationOptions& options,
              int64_t seed, int64_t batch_size);

  // `which` are positions within the examples; at most batch_size.
  Batch Read(absl::Span<const int32_t> which);

  // Batch `batch` (from 0) of epoch `epoch` (from 1), augmented.
  //   DataLoss, NotFound  with random_resized_crop, which reads the images'
  //                       files anew, one is damaged or gone.
  absl::StatusOr<Batch> ReadAugmented(int64_t epoch, int64_t batch,
                                      absl::Span<const int32_t> which);

 private:
  // One augmented image, drawn from the stream of its example.
  absl::Status ReadImage(int64_t position, const RandomStream& example,
                         std::vector<uint8_t>& cropped, float* out);
  void Augment(const uint8_t* pixels, const ImagePlan& plan, float* out) const;
  Batch WithLabels(absl::Span<const int32_t> which);
  // Blends each image of the batch with another one of it.
  void Mix(const RandomStream& batch, Batch& of);

  const Examples& examples_;
  const AugmentationOptions options_;
  const int64_t seed_;
  std::vector<Normalization> channels_;
  at::Tensor images_;
  at::Tensor labels_;
  at::Tensor mixed_images_;  // Undefined without mixup.
  at::Tensor mixed_labels_;
};

}  // namespace headstart::worker
