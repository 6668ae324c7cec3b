// Images that were read as a whole.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "worker/datasets/image_source.h"

namespace headstart::worker {

class MemoryImages final : public ImageSource {
 public:
  // `pixels` is [count, channels, height, width].
  MemoryImages(int64_t channels, int64_t height, int64_t width,
               std::vector<uint8_t> pixels)
      : channels_(channels),
        height_(height),
        width_(width),
        pixels_(std::move(pixels)) {}

  absl::Status Prepare(absl::Span<const int32_t>) override {
    return absl::OkStatus();
  }

  const uint8_t* Pixels(int32_t row) const override {
    return pixels_.data() + row * channels_ * height_ * width_;
  }

  absl::StatusOr<Image> Original(int32_t row) const override {
    const uint8_t* begin = Pixels(row);
    return Image{.channels = channels_,
                 .height = height_,
                 .width = width_,
                 .pixels = {begin, begin + channels_ * height_ * width_}};
  }

 private:
  const int64_t channels_;
  const int64_t height_;
  const int64_t width_;
  const std::vector<uint8_t> pixels_;
};

}  // namespace headstart::worker
