#include "worker/dataset_files/pixel_map.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/file.h"
#include "base/status_macros.h"

namespace headstart::worker {
namespace {

constexpr char kMagic[8] = {'H', 'S', 'P', 'I', 'X', 'E', 'L', '1'};
constexpr int64_t kPage = 4096;

struct Header {
  char magic[8];
  PixelLayout layout;
};

std::string TemporaryPath(const std::string& path) { return path + ".tmp"; }

// Whether the open file still has this name: another process may have renamed
// it between open and lock.
bool HasName(int file, const std::string& path) {
  struct stat open, named;
  return fstat(file, &open) == 0 && stat(path.c_str(), &named) == 0 &&
         open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PixelMap>> PixelMap::InMemory(
    const PixelLayout& layout) {
  return Map(layout, -1, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
}

absl::StatusOr<std::unique_ptr<PixelMap>> PixelMap::Create(
    const std::string& path, const PixelLayout& layout) {
  HS_RETURN_IF_ERROR(
      MakeFolders(std::filesystem::path(path).parent_path().string()));
  const std::string temporary = TemporaryPath(path);
  const int file = open(temporary.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return ErrnoStatus(errno, temporary);
  if (flock(file, LOCK_EX | LOCK_NB) != 0 || !HasName(file, temporary)) {
    close(file);
    return absl::UnavailableError(
        absl::StrCat(temporary, ": another process is writing it."));
  }
  const int64_t bytes = PixelMap(layout, -1, nullptr).TotalBytes();
  int error = ftruncate(file, 0) == 0 ? 0 : errno;
  // Without its room on disk, a write to the mapping would be a bus error.
  if (error == 0) error = posix_fallocate(file, 0, bytes);
  if (error != 0) {
    unlink(temporary.c_str());
    close(file);
    return ErrnoStatus(error, temporary);
  }
  absl::StatusOr<std::unique_ptr<PixelMap>> map = Map(layout, file, MAP_SHARED);
  if (map.ok()) (*map)->path_ = path;
  return map;
}

absl::StatusOr<std::unique_ptr<PixelMap>> PixelMap::Open(
    const std::string& path, const PixelLayout& layout) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return ErrnoStatus(errno, path);
  Header header;
  struct stat status;
  const bool good =
      fstat(file, &status) == 0 &&
      status.st_size == PixelMap(layout, -1, nullptr).TotalBytes() &&
      pread(file, &header, sizeof header, 0) == sizeof header &&
      std::memcmp(header.magic, kMagic, sizeof kMagic) == 0 &&
      header.layout == layout;
  if (!good) {
    close(file);
    return absl::DataLossError(
        absl::StrCat(path, ": not the decoded images that belong here."));
  }
  return Map(layout, file, MAP_PRIVATE);
}

absl::StatusOr<std::unique_ptr<PixelMap>> PixelMap::Map(
    const PixelLayout& layout, int file, int flags) {
  std::unique_ptr<PixelMap> map(new PixelMap(layout, file, nullptr));
  void* data =
      mmap(nullptr, map->TotalBytes(), PROT_READ | PROT_WRITE, flags, file, 0);
  if (data == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("decoded images need ", map->TotalBytes(),
                     " bytes, which cannot be mapped (", std::strerror(errno),
                     "). Choose a smaller image_size."));
  }
  map->data_ = static_cast<uint8_t*>(data);
  return map;
}

PixelMap::~PixelMap() {
  if (data_ != nullptr) munmap(data_, TotalBytes());
  if (!path_.empty()) unlink(TemporaryPath(path_).c_str());
  if (file_ >= 0) close(file_);
}

void PixelMap::Seal(int64_t i) { Noted(i) = ImageCrc32(i); }

bool PixelMap::IsIntact(int64_t i) const { return Noted(i) == ImageCrc32(i); }

absl::Status PixelMap::Commit() {
  Header header = {.magic = {}, .layout = layout_};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  std::memcpy(data_, &header, sizeof header);
  const std::string temporary = TemporaryPath(path_);
  if (msync(data_, TotalBytes(), MS_SYNC) != 0 || fsync(file_) != 0 ||
      std::rename(temporary.c_str(), path_.c_str()) != 0) {
    return ErrnoStatus(errno, temporary);
  }
  path_.clear();
  return absl::OkStatus();
}

// Header and checksums, up to a whole page.
int64_t PixelMap::PixelsBegin() const {
  const int64_t front =
      sizeof(Header) + layout_.count * static_cast<int64_t>(sizeof(uint32_t));
  return (front + kPage - 1) / kPage * kPage;
}

int64_t PixelMap::TotalBytes() const {
  return PixelsBegin() + layout_.count * layout_.image_bytes;
}

uint32_t PixelMap::ImageCrc32(int64_t i) const {
  return crc32_z(0, image(i), layout_.image_bytes);
}

uint32_t& PixelMap::Noted(int64_t i) const {
  return reinterpret_cast<uint32_t*>(data_ + sizeof(Header))[i];
}

}  // namespace headstart::worker
