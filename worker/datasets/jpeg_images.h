// Images that lie in JPEG files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "worker/dataset_files/image_tree.h"
#include "worker/dataset_files/pixel_map.h"
#include "worker/datasets/image_source.h"

namespace headstart::worker {

// How images are decoded.
struct DecodeOptions {
  // Where decoded images are kept for other processes and later times. Empty:
  // in this process's memory only.
  std::string cache_folder;
  int64_t threads = 1;
  // Asked some ten times a second while decoding moves; true ends it.
  std::function<bool()> cancelled = [] { return false; };
};

// Decodes what is asked for, by several threads, and keeps it, resized as a
// whole to height x width. Where a whole part is asked for at once it goes
// through a file in the cache folder, if there is one and it has the room; the
// file's name has the data set's, and a hash over the path, size and time of
// every image.
class JpegImages final : public ImageSource {
 public:
  JpegImages(ImageList list, int64_t height, int64_t width,
             DecodeOptions options);

  absl::Status Prepare(absl::Span<const int32_t> rows) override;
  const uint8_t* Pixels(int32_t row) const override {
    return pixels_->image(row);
  }
  absl::StatusOr<Image> Original(int32_t row) const override;

 private:
  // Makes pixels_, for `missing` rows to begin with.
  absl::Status MakeRoom(int64_t missing);
  std::string CachePath(uint64_t key) const;
  absl::Status DecodeInto(int32_t row, uint8_t* pixels) const;

  const ImageList list_;
  const int64_t height_;
  const int64_t width_;
  const DecodeOptions options_;
  std::unique_ptr<PixelMap> pixels_;
  bool from_cache_ = false;  // Then rows that are not ready wait for a check.
  bool to_cache_ = false;
  std::vector<bool> ready_;
};

}  // namespace headstart::worker
