#include "worker/datasets/augmentation.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"

#include "base/widest_vectors.h"

namespace headstart::worker {
namespace {

absl::Status Refuse(absl::string_view field, absl::string_view allowed,
                    double value) {
  return absl::InvalidArgumentError(absl::StrCat(
      "augmentation.", field, ": must be ", allowed, ", got ", value, "."));
}

// A normally distributed number (Box and Muller).
double DrawNormal(RandomStream& stream) {
  const double radius = std::sqrt(-2 * std::log(1 - stream.Uniform()));
  return radius * std::cos(2 * std::numbers::pi * stream.Uniform());
}

// The logarithm of a Gamma(shape) distributed number (Marsaglia and Tsang
// 2000): for a small shape the number itself is often below what a double
// holds.
double DrawLogGamma(double shape, RandomStream& stream) {
  if (shape < 1) {
    const double log_uniform = std::log(1 - stream.Uniform());
    return DrawLogGamma(shape + 1, stream) + log_uniform / shape;
  }
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = DrawNormal(stream);
    const double v = std::pow(1 + c * x, 3);
    const double log_uniform = std::log(1 - stream.Uniform());
    if (v > 0 && log_uniform < 0.5 * x * x + d * (1 - v + std::log(v))) {
      return std::log(d * v);
    }
  }
}

// Where the columns of a crop that lie inside the image come from and go to.
struct Columns {
  Columns(int64_t width, const ImagePlan& plan) {
    // Of the crop, before the flip.
    const int64_t begin = std::max(0, -plan.left);
    const int64_t end = std::max(begin, std::min(width, width - plan.left));
    count = end - begin;
    from = begin + plan.left;
    to = plan.flip ? width - end : begin;
  }

  int64_t count;
  int64_t from;
  int64_t to;
};

// The row from `pixels` to `pixels + count`, forwards or backwards.
[[gnu::always_inline]] inline void Normalize(const uint8_t* pixels,
                                             int64_t count,
                                             const Normalization channel,
                                             bool flip, float* out) {
  if (flip) {
    const uint8_t* last = pixels + count - 1;
    for (int64_t i = 0; i < count; ++i) {
      out[i] = NormalizePixel(last[-i], channel);
    }
  } else {
    for (int64_t i = 0; i < count; ++i) {
      out[i] = NormalizePixel(pixels[i], channel);
    }
  }
}

// The same of three planes, `plane` bytes apart.
template <int kStep>
[[gnu::always_inline]] inline void NormalizeThree(
    const uint8_t* first, int64_t plane, int64_t count,
    absl::Span<const Normalization> channels, float* out) {
  const Normalization a = channels[0], b = channels[1], c = channels[2];
  for (int64_t i = 0; i < count; ++i) {
    out[3 * i] = NormalizePixel(first[kStep * i], a);
    out[3 * i + 1] = NormalizePixel(first[kStep * i + plane], b);
    out[3 * i + 2] = NormalizePixel(first[kStep * i + 2 * plane], c);
  }
}

[[gnu::always_inline]] inline void FillThree(const float* value, int64_t count,
                                             float* out) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t c = 0; c < 3; ++c) out[3 * i + c] = value[c];
  }
}

}  // namespace

absl::Status CheckAugmentation(const AugmentationOptions& options,
                               int64_t height, int64_t width) {
  const int64_t side = std::min(height, width);
  if (options.crop_padding < 0 || options.crop_padding > side) {
    return Refuse("crop_padding", absl::StrCat("from 0 to ", side),
                  options.crop_padding);
  }
  if (!(options.flip_probability >= 0 && options.flip_probability <= 1)) {
    return Refuse("flip_probability", "from 0 to 1", options.flip_probability);
  }
  if (options.cutout_size < 0 || options.cutout_size > 2 * side) {
    return Refuse("cutout_size", absl::StrCat("from 0 to ", 2 * side),
                  options.cutout_size);
  }
  if (!(options.mixup_alpha >= 0 && std::isfinite(options.mixup_alpha))) {
    return Refuse("mixup_alpha", "0 or more", options.mixup_alpha);
  }
  if (!options.random_resized_crop.has_value()) return absl::OkStatus();
  const RandomResizedCrop& crop = *options.random_resized_crop;
  if (!(crop.min_scale > 0 && crop.min_scale <= crop.max_scale)) {
    return Refuse("random_resized_crop.min_scale",
                  "above 0 and at most max_scale", crop.min_scale);
  }
  if (!(crop.max_scale <= 1)) {
    return Refuse("random_resized_crop.max_scale", "at most 1", crop.max_scale);
  }
  if (!(crop.min_ratio > 0 && crop.min_ratio <= crop.max_ratio &&
        std::isfinite(crop.max_ratio))) {
    return Refuse("random_resized_crop.min_ratio",
                  "above 0 and at most max_ratio", crop.min_ratio);
  }
  return absl::OkStatus();
}

ImagePlan DrawPlan(const AugmentationOptions& options, int64_t height,
                   int64_t width, const RandomStream& example) {
  ImagePlan plan;
  if (options.crop_padding > 0) {
    RandomStream stream = example.Child("crop");
    const int64_t positions = 2 * options.crop_padding + 1;
    plan.top = stream.UniformInt(positions) - options.crop_padding;
    plan.left = stream.UniformInt(positions) - options.crop_padding;
  }
  if (options.flip_probability > 0) {
    plan.flip = example.Child("flip").Uniform() < options.flip_probability;
  }
  if (options.cutout_size > 0) {
    // The centre is any pixel: at a border part of the square falls outside.
    RandomStream stream = example.Child("cutout");
    const int64_t y = stream.UniformInt(height);
    const int64_t x = stream.UniformInt(width);
    const int64_t half = options.cutout_size / 2;
    plan.cut_top = std::max<int64_t>(y - half, 0);
    plan.cut_bottom = std::min(y - half + options.cutout_size, height);
    plan.cut_left = std::max<int64_t>(x - half, 0);
    plan.cut_right = std::min(x - half + options.cutout_size, width);
  }
  return plan;
}

CropBox DrawCropBox(const RandomResizedCrop& options, int64_t height,
                    int64_t width, const RandomStream& example) {
  constexpr int kTries = 10;
  RandomStream stream = example.Child("resized_crop");
  const double area = static_cast<double>(height) * width;
  const double min_log_ratio = std::log(options.min_ratio);
  const double max_log_ratio = std::log(options.max_ratio);
  for (int i = 0; i < kTries; ++i) {
    const double wanted =
        area * (options.min_scale +
                (options.max_scale - options.min_scale) * stream.Uniform());
    const double ratio = std::exp(
        min_log_ratio + (max_log_ratio - min_log_ratio) * stream.Uniform());
    // Compared as doubles: an extreme ratio may not fit an integer.
    const double w = std::nearbyint(std::sqrt(wanted * ratio));
    const double h = std::nearbyint(std::sqrt(wanted / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    CropBox box = {.height = static_cast<int64_t>(h),
                   .width = static_cast<int64_t>(w)};
    box.top = stream.UniformInt(height - box.height + 1);
    box.left = stream.UniformInt(width - box.width + 1);
    return box;
  }
  const double ratio = std::clamp(static_cast<double>(width) / height,
                                  options.min_ratio, options.max_ratio);
  const auto within = [](double length, int64_t whole) {
    return static_cast<int64_t>(
        std::clamp<double>(std::nearbyint(length), 1, whole));
  };
  CropBox box = {.height = within(width / ratio, height),
                 .width = within(height * ratio, width)};
  box.top = (height - box.height) / 2;
  box.left = (width - box.width) / 2;
  return box;
}

double DrawMixWeight(double alpha, const RandomStream& batch) {
  RandomStream stream = batch.Child("mix_weight");
  const double a = DrawLogGamma(alpha, stream);
  const double b = DrawLogGamma(alpha, stream);
  return 1 / (1 + std::exp(b - a));
}

// Multiplications and additions are never fused (see CMakeLists.txt), so that
// all widths make the same floats.
HS_WIDEST_VECTORS
void AugmentImage(const uint8_t* pixels, int64_t height, int64_t width,
                  const ImagePlan& plan,
                  absl::Span<const Normalization> channels, float* out) {
  const int64_t size = height * width;
  const bool whole = plan.top == 0 && plan.left == 0 && !plan.flip;
  const Columns columns(width, plan);
  for (const Normalization& channel : channels) {
    const float padding = NormalizePixel(0, channel);
    if (whole) Normalize(pixels, size, channel, false, out);
    for (int64_t y = 0; y < height && !whole; ++y) {
      float* row = out + y * width;
      const int64_t from_y = y + plan.top;
      if (from_y < 0 || from_y >= height) {
        std::fill_n(row, width, padding);
        continue;
      }
      std::fill_n(row, columns.to, padding);
      Normalize(pixels + from_y * width + columns.from, columns.count, channel,
                plan.flip, row + columns.to);
      std::fill(row + columns.to + columns.count, row + width, padding);
    }
    for (int64_t y = plan.cut_top; y < plan.cut_bottom; ++y) {
      std::fill(out + y * width + plan.cut_left,
                out + y * width + plan.cut_right, 0.0f);
    }
    pixels += size;
    out += size;
  }
}

HS_WIDEST_VECTORS
void AugmentImageInterleaved(const uint8_t* pixels, int64_t height,
                             int64_t width, const ImagePlan& plan,
                             absl::Span<const Normalization> channels,
                             float* out) {
  const int64_t plane = height * width;
  const Columns columns(width, plan);
  const float padding[3] = {NormalizePixel(0, channels[0]),
                            NormalizePixel(0, channels[1]),
                            NormalizePixel(0, channels[2])};
  for (int64_t y = 0; y < height; ++y) {
    float* row = out + 3 * y * width;
    const int64_t from_y = y + plan.top;
    if (from_y < 0 || from_y >= height) {
      FillThree(padding, width, row);
    } else {
      const uint8_t* from = pixels + from_y * width + columns.from;
      FillThree(padding, columns.to, row);
      if (plan.flip) {
        NormalizeThree<-1>(from + columns.count - 1, plane, columns.count,
                           channels, row + 3 * columns.to);
      } else {
        NormalizeThree<1>(from, plane, columns.count, channels,
                          row + 3 * columns.to);
      }
      const int64_t filled = columns.to + columns.count;
      FillThree(padding, width - filled, row + 3 * filled);
    }
    if (y >= plan.cut_top && y < plan.cut_bottom) {
      std::fill(row + 3 * plan.cut_left, row + 3 * plan.cut_right, 0.0f);
    }
  }
}

HS_WIDEST_VECTORS
void MixImages(const float* a, const float* b, float weight, int64_t count,
               float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = MixPixel(a[i], b[i], weight);
}

}  // namespace headstart::worker
