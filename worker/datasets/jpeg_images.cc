#include "worker/datasets/jpeg_images.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/check.h"
#include "base/log.h"
#include "base/random_stream.h"
#include "base/status_macros.h"
#include "worker/dataset_files/jpeg.h"
#include "worker/dataset_files/parallel.h"
#include "worker/dataset_files/resize.h"

namespace headstart::worker {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kChannels = 3;

// Changes when an image does, and when this code makes other pixels of it.
uint64_t Fingerprint(const ImageList& list, int64_t height, int64_t width) {
  std::error_code ignored;  // What is gone is noticed when it is decoded.
  std::string text =
      absl::StrCat("bilinear 1\n", fs::absolute(list.folder, ignored).string(),
                   "\n", height, "x", width, "\n");
  for (const std::string& path : list.paths) {
    const fs::directory_entry entry(
        fs::path(absl::StrCat(list.folder, "/", path)), ignored);
    absl::StrAppend(&text, path, "\t", entry.file_size(ignored), "\t",
                    entry.last_write_time(ignored).time_since_epoch().count(),
                    "\n");
  }
  return StableHash(text);
}

}  // namespace

JpegImages::JpegImages(ImageList list, int64_t height, int64_t width,
                       DecodeOptions options)
    : list_(std::move(list)),
      height_(height),
      width_(width),
      options_(std::move(options)),
      ready_(list_.paths.size()) {}

absl::Status JpegImages::Prepare(absl::Span<const int32_t> rows) {
  std::vector<int32_t> missing;
  for (const int32_t row : rows) {
    if (!ready_[row]) missing.push_back(row);
  }
  if (missing.empty()) return absl::OkStatus();
  if (pixels_ == nullptr) HS_RETURN_IF_ERROR(MakeRoom(missing.size()));

  const absl::Status status =
      ForEach(missing.size(), options_.threads, options_.cancelled,
              [&](int64_t i) -> absl::Status {
                const int32_t row = missing[i];
                if (from_cache_ && pixels_->IsIntact(row))
                  return absl::OkStatus();
                HS_RETURN_IF_ERROR(DecodeInto(row, pixels_->image(row)));
                if (to_cache_) pixels_->Seal(row);
                return absl::OkStatus();
              });
  if (!status.ok()) {
    // A half-filled file is of no use; what memory holds is.
    if (to_cache_) pixels_.reset();
    to_cache_ = false;
    return status;
  }
  for (const int32_t row : missing) ready_[row] = true;
  if (std::exchange(to_cache_, false)) {
    // The pixels are there all the same.
    if (const absl::Status commit = pixels_->Commit(); !commit.ok()) {
      HS_LOG(kWarning, "decoded images not cached status=\"{}\"", commit);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Image> JpegImages::Original(int32_t row) const {
  return ReadJpegFile(absl::StrCat(list_.folder, "/", list_.paths[row]));
}

absl::Status JpegImages::MakeRoom(int64_t missing) {
  PixelLayout layout = {.key = 0,
                        .count = static_cast<int64_t>(list_.paths.size()),
                        .image_bytes = kChannels * height_ * width_};
  absl::StatusOr<std::unique_ptr<PixelMap>> map = nullptr;
  if (!options_.cache_folder.empty()) {
    layout.key = Fingerprint(list_, height_, width_);
    const std::string path = CachePath(layout.key);
    map = PixelMap::Open(path, layout);
    from_cache_ = map.ok();
    if (!map.ok() && missing == layout.count) {
      map = PixelMap::Create(path, layout);
      to_cache_ = map.ok();
      if (!map.ok()) {
        HS_LOG(kWarning, "decoded images are kept in memory only status=\"{}\"",
               map.status());
      }
    }
  }
  if (!from_cache_ && !to_cache_) {
    HS_ASSIGN_OR_RETURN(map, PixelMap::InMemory(layout));
  }
  pixels_ = *std::move(map);
  return absl::OkStatus();
}

std::string JpegImages::CachePath(uint64_t key) const {
  return absl::StrFormat("%s/%s-%dx%d-%016x.pixels", options_.cache_folder,
                         fs::path(list_.folder).filename().string(), height_,
                         width_, key);
}

absl::Status JpegImages::DecodeInto(int32_t row, uint8_t* pixels) const {
  HS_ASSIGN_OR_RETURN(const Image image, Original(row));
  Resize(image, height_, width_,
         absl::MakeSpan(pixels, kChannels * height_ * width_));
  return absl::OkStatus();
}

}  // namespace headstart::worker
