// What training does to its images, drawn anew for every epoch.
//
// Everything drawn is a pure function of its stream's address, and what is
// drawn for one purpose does not change what is drawn for another.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

#include "base/random_stream.h"
#include "worker/dataset_files/resize.h"
#include "worker/datasets/augmentation_math.h"

namespace headstart::worker {

// A rectangle of the image, brought to the whole image's size.
struct RandomResizedCrop {
  double min_scale;  // Share of the image's area: above 0 to 1.
  double max_scale;
  double min_ratio;  // Width by height: above 0.
  double max_ratio;
};

// In the order in which they are applied; the proto's Augmentation.
struct AugmentationOptions {
  std::optional<RandomResizedCrop> random_resized_crop;
  int64_t crop_padding = 0;  // Pixels of zeros on each side before a crop.
  double flip_probability = 0;
  int64_t cutout_size = 0;  // Side of the square; 0: none.
  double mixup_alpha = 0;   // 0: none.
};

// InvalidArgument, naming the field, for what cannot be done to images of this
// size.
absl::Status CheckAugmentation(const AugmentationOptions& options,
                               int64_t height, int64_t width);

// What was drawn for one example in one epoch, but for the resized crop.
ImagePlan DrawPlan(const AugmentationOptions& options, int64_t height,
                   int64_t width, const RandomStream& example);

// As torchvision's RandomResizedCrop: ten tries to draw an area and the
// logarithm of a ratio that fit, else the largest centred rectangle of an
// allowed ratio.
CropBox DrawCropBox(const RandomResizedCrop& options, int64_t height,
                    int64_t width, const RandomStream& example);

// The weight of mixup for one batch, Beta(alpha, alpha) distributed.
double DrawMixWeight(double alpha, const RandomStream& batch);

// Applies a plan: `out` and `pixels` are [channels, height, width], and each
// value of `out` is what AugmentPixel says.
void AugmentImage(const uint8_t* pixels, int64_t height, int64_t width,
                  const ImagePlan& plan,
                  absl::Span<const Normalization> channels, float* out);

// The same values for an image of three channels, with `out` as [height, width,
// channels]: convolutions want them so, and a batch need not be turned around
// for them.
void AugmentImageInterleaved(const uint8_t* pixels, int64_t height,
                             int64_t width, const ImagePlan& plan,
                             absl::Span<const Normalization> channels,
                             float* out);

// Mixup: out[i] = MixPixel(a[i], b[i], weight).
void MixImages(const float* a, const float* b, float weight, int64_t count,
               float* out);

}  // namespace headstart::worker
