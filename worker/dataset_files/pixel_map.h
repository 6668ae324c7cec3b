// Decoded images side by side, in memory or in a file that outlives the
// process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace headstart::worker {

// What makes a cache file the wanted one.
struct PixelLayout {
  uint64_t key = 0;  // Of the files the images come from.
  int64_t count = 0;
  int64_t image_bytes = 0;

  bool operator==(const PixelLayout&) const = default;
};

// Room for `count` images. Takes memory or disk for those that were written.
// Different images may be written from several threads at once.
//
// A cache file holds a header, the CRC-32 of every image, and the images. It is
// only ever seen whole, and each image is checked before its first use, so a
// damaged or foreign file costs time and never a wrong pixel. It may be deleted
// at any time.
class PixelMap final {
 public:
  // ResourceExhausted when there are not enough addresses.
  static absl::StatusOr<std::unique_ptr<PixelMap>> InMemory(
      const PixelLayout& layout);
  // A file to be filled; all room on disk is taken at once. It appears at
  // `path` with Commit, and vanishes without.
  //   Unavailable  another process is filling it.
  static absl::StatusOr<std::unique_ptr<PixelMap>> Create(
      const std::string& path, const PixelLayout& layout);
  // Maps the file for reading; what is written stays in this process.
  //   NotFound  there is none.
  //   DataLoss  it is not one of this layout.
  static absl::StatusOr<std::unique_ptr<PixelMap>> Open(
      const std::string& path, const PixelLayout& layout);

  PixelMap(const PixelMap&) = delete;
  PixelMap& operator=(const PixelMap&) = delete;
  ~PixelMap();

  uint8_t* image(int64_t i) { return data_ + PixelsBegin() + i * ImageBytes(); }
  const uint8_t* image(int64_t i) const {
    return data_ + PixelsBegin() + i * ImageBytes();
  }

  // Notes an image's CRC-32, and tells whether it is still what was noted.
  void Seal(int64_t i);
  bool IsIntact(int64_t i) const;

  // For Create: makes the file durable and gives it its name.
  absl::Status Commit();

 private:
  PixelMap(const PixelLayout& layout, int file, uint8_t* data)
      : layout_(layout), file_(file), data_(data) {}
  static absl::StatusOr<std::unique_ptr<PixelMap>> Map(
      const PixelLayout& layout, int file, int flags);

  int64_t ImageBytes() const { return layout_.image_bytes; }
  int64_t PixelsBegin() const;
  int64_t TotalBytes() const;
  uint32_t ImageCrc32(int64_t i) const;
  uint32_t& Noted(int64_t i) const;

  const PixelLayout layout_;
  const int file_;  // -1: none is held.
  uint8_t* data_;
  std::string path_;  // Of a file being filled.
};

}  // namespace headstart::worker
