#include "worker/dataset_files/formats.h"

#include <zlib.h>

#include <array>
#include <cerrno>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

#include "base/file.h"
#include "base/status_macros.h"

namespace headstart::worker {
namespace {

constexpr uint32_t kIdxImagesMagic = 2051;  // 0x00000803: bytes, 3 dimensions.
constexpr uint32_t kIdxLabelsMagic = 2049;  // 0x00000801: bytes, 1 dimension.

// A file read from front to back, through gzip or plain, that knows where it
// is and what it has read.
class ContentReader final {
 public:
  enum class Packing { kGzip, kPlain };

  static absl::StatusOr<ContentReader> Open(const std::string& path,
                                            Packing packing) {
    errno = 0;
    ContentReader reader(path, gzopen(path.c_str(), "rb"));
    if (reader.file_ == nullptr) {
      return ErrnoStatus(errno != 0 ? errno : ENOMEM, path);
    }
    gzbuffer(reader.file_.get(), 128 * 1024);
    const bool plain = gzdirect(reader.file_.get()) != 0;
    if (packing == Packing::kGzip && plain) {
      return absl::DataLossError(
          absl::StrCat(path,
                       ": offset 0 is not the start of a gzip file. Get the "
                       "file again."));
    }
    if (packing == Packing::kPlain && !plain) {
      return absl::DataLossError(absl::StrCat(
          path,
          ": offset 0 is the start of a gzip file; unpack it, its content is "
          "wanted."));
    }
    return reader;
  }

  // Fills `into` or says where the content ended.
  absl::Status Read(absl::Span<uint8_t> into) {
    size_t filled = 0;
    while (filled < into.size()) {
      const int read = gzread(file_.get(), into.data() + filled,
                              static_cast<unsigned>(into.size() - filled));
      if (read < 0) return Damaged();
      if (read == 0) {
        return absl::DataLossError(absl::StrCat(
            path_, ": ends at offset ", offset_ + filled, " where ",
            into.size() - filled, " more bytes belong. Get the file again."));
      }
      filled += read;
    }
    crc32_ = ::crc32_z(crc32_, into.data(), into.size());
    offset_ += into.size();
    return absl::OkStatus();
  }

  absl::Status ExpectEnd() {
    uint8_t extra;
    const int read = gzread(file_.get(), &extra, 1);
    int code = Z_OK;
    gzerror(file_.get(), &code);
    // A cut gzip trailer is no failed read, only a note left in gzerror.
    if (read < 0 || code != Z_OK) return Damaged();
    if (read > 0) {
      return absl::DataLossError(
          absl::StrCat(path_, ": goes on after offset ", offset_,
                       ", where its last example ends. Get the file again."));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint32_t> ReadBigEndian() {
    std::array<uint8_t, 4> bytes;
    HS_RETURN_IF_ERROR(Read(absl::MakeSpan(bytes)));
    return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 |
           uint32_t{bytes[2]} << 8 | uint32_t{bytes[3]};
  }

  // Reads one number of a header and compares it.
  absl::Status Expect(absl::string_view what, int64_t wanted) {
    const int64_t at = offset_;
    HS_ASSIGN_OR_RETURN(const uint32_t found, ReadBigEndian());
    if (found != wanted) {
      return absl::DataLossError(absl::StrFormat(
          "%s: offset %d: %s is %d, but must be %d. Get the file again.", path_,
          at, what, found, wanted));
    }
    return absl::OkStatus();
  }

  absl::Status CheckLabel(int64_t at, int label, int64_t classes) const {
    if (label < classes) return absl::OkStatus();
    return absl::DataLossError(absl::StrFormat(
        "%s: offset %d: label %d is no class; 0 to %d are. Get the file again.",
        path_, at, label, classes - 1));
  }

  int64_t offset() const { return offset_; }
  uint32_t crc32() const { return crc32_; }

 private:
  struct Close {
    void operator()(gzFile file) const { gzclose_r(file); }
  };

  ContentReader(std::string path, gzFile file)
      : path_(std::move(path)), file_(file) {}

  absl::Status Damaged() {
    int code = 0;
    const char* reason = gzerror(file_.get(), &code);
    return absl::DataLossError(absl::StrCat(path_, ": damaged after offset ",
                                            offset_, " of its content (",
                                            reason, "). Get the file again."));
  }

  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
  int64_t offset_ = 0;
  uint32_t crc32_ = 0;
};

}  // namespace

absl::StatusOr<uint32_t> ReadIdxImages(const std::string& path,
                                       const ImageFormat& format,
                                       absl::Span<uint8_t> pixels) {
  const int64_t pixels_per_image = format.height * format.width;
  HS_ASSIGN_OR_RETURN(ContentReader reader,
                      ContentReader::Open(path, ContentReader::Packing::kGzip));
  HS_RETURN_IF_ERROR(reader.Expect("the magic number", kIdxImagesMagic));
  HS_RETURN_IF_ERROR(
      reader.Expect("the number of images", pixels.size() / pixels_per_image));
  HS_RETURN_IF_ERROR(reader.Expect("the number of rows", format.height));
  HS_RETURN_IF_ERROR(reader.Expect("the number of columns", format.width));
  HS_RETURN_IF_ERROR(reader.Read(pixels));
  HS_RETURN_IF_ERROR(reader.ExpectEnd());
  return reader.crc32();
}

absl::StatusOr<uint32_t> ReadIdxLabels(const std::string& path,
                                       const ImageFormat& format,
                                       absl::Span<uint8_t> labels) {
  HS_ASSIGN_OR_RETURN(ContentReader reader,
                      ContentReader::Open(path, ContentReader::Packing::kGzip));
  HS_RETURN_IF_ERROR(reader.Expect("the magic number", kIdxLabelsMagic));
  HS_RETURN_IF_ERROR(reader.Expect("the number of labels", labels.size()));
  const int64_t first = reader.offset();
  HS_RETURN_IF_ERROR(reader.Read(labels));
  HS_RETURN_IF_ERROR(reader.ExpectEnd());
  for (size_t i = 0; i < labels.size(); ++i) {
    HS_RETURN_IF_ERROR(reader.CheckLabel(first + i, labels[i], format.classes));
  }
  return reader.crc32();
}

absl::StatusOr<uint32_t> ReadCifarBatch(const std::string& path,
                                        const ImageFormat& format,
                                        absl::Span<uint8_t> pixels,
                                        absl::Span<uint8_t> labels) {
  const size_t image_bytes = format.channels * format.height * format.width;
  HS_ASSIGN_OR_RETURN(
      ContentReader reader,
      ContentReader::Open(path, ContentReader::Packing::kPlain));
  for (size_t i = 0; i < labels.size(); ++i) {
    if (format.coarse_classes > 0) {
      uint8_t coarse;
      const int64_t at = reader.offset();
      HS_RETURN_IF_ERROR(reader.Read(absl::MakeSpan(&coarse, 1)));
      HS_RETURN_IF_ERROR(reader.CheckLabel(at, coarse, format.coarse_classes));
    }
    const int64_t at = reader.offset();
    HS_RETURN_IF_ERROR(reader.Read(labels.subspan(i, 1)));
    HS_RETURN_IF_ERROR(reader.CheckLabel(at, labels[i], format.classes));
    HS_RETURN_IF_ERROR(
        reader.Read(pixels.subspan(i * image_bytes, image_bytes)));
  }
  HS_RETURN_IF_ERROR(reader.ExpectEnd());
  return reader.crc32();
}

}  // namespace headstart::worker
