#include "worker/dataset_files/jpeg.h"

#include <csetjmp>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

// After <cstdio>, whose types they use.
#include <jerror.h>
#include <jpeglib.h>

#include "absl/strings/str_cat.h"

#include "base/file.h"
#include "base/status_macros.h"

namespace headstart::worker {
namespace {

constexpr int64_t kMaxPixels = 100'000'000;
constexpr uintmax_t kMaxFileBytes = 256 << 20;
// A few kilobytes can ask for thousands of passes over a large image.
constexpr int kMaxScans = 200;

// One image being decoded. libjpeg reports errors by a call that must not
// return, so it jumps back to Run, which therefore holds nothing that has a
// destructor.
class Decoder final {
 public:
  Decoder() {
    info_.err = jpeg_std_error(&errors_);
    info_.client_data = this;
    errors_.error_exit = [](j_common_ptr info) { Of(info).Fail(info); };
    errors_.emit_message = [](j_common_ptr info, int level) {
      if (level < 0) Of(info).Warn(info);
    };
    progress_.progress_monitor = [](j_common_ptr info) {
      Of(info).CheckScans();
    };
  }
  ~Decoder() { jpeg_destroy_decompress(&info_); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  absl::StatusOr<Image> Decode(absl::string_view bytes) {
    if (!Run(bytes)) return absl::DataLossError(problem_);
    return std::move(image_);
  }

 private:
  static Decoder& Of(j_common_ptr info) {
    return *static_cast<Decoder*>(info->client_data);
  }

  bool Run(absl::string_view bytes) {
    if (setjmp(jump_) != 0) return false;
    jpeg_create_decompress(&info_);
    info_.progress = &progress_;
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()),
                 bytes.size());
    jpeg_read_header(&info_, TRUE);
    CheckKind();
    info_.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info_);
    Allocate();
    while (info_.output_scanline < info_.output_height) {
      const int64_t y = info_.output_scanline;
      JSAMPROW row = row_.data();
      jpeg_read_scanlines(&info_, &row, 1);
      Store(y);
    }
    jpeg_finish_decompress(&info_);
    return true;
  }

  void CheckKind() {
    if (info_.jpeg_color_space != JCS_GRAYSCALE &&
        info_.jpeg_color_space != JCS_YCbCr &&
        info_.jpeg_color_space != JCS_RGB) {
      problem_ = absl::StrCat(
          "a JPEG image of ", info_.num_components,
          " channels (CMYK or the like); colour with 3 and greyscale with 1 "
          "can be read. Convert it to RGB");
      Jump();
    }
    const int64_t pixels = int64_t{info_.image_width} * info_.image_height;
    if (pixels > kMaxPixels) {
      problem_ = absl::StrCat("a JPEG image of ", info_.image_width, "x",
                              info_.image_height, " pixels; ", kMaxPixels,
                              " at most can be read. Make it smaller");
      Jump();
    }
  }

  void Allocate() {
    image_ = {.channels = 3,
              .height = info_.output_height,
              .width = info_.output_width,
              .pixels = {}};
    image_.pixels.resize(3 * image_.height * image_.width);
    row_.resize(3 * image_.width);
  }

  // A row of RGB RGB ... to three planes.
  void Store(int64_t y) {
    const int64_t plane = image_.height * image_.width;
    uint8_t* to = image_.pixels.data() + y * image_.width;
    const uint8_t* from = row_.data();
    for (int64_t x = 0; x < image_.width; ++x, from += 3) {
      to[x] = from[0];
      to[plane + x] = from[1];
      to[2 * plane + x] = from[2];
    }
  }

  // What libjpeg can live with, and other readers too: bytes between segments,
  // a colour transform it does not know, odd parameters of a scan.
  void Warn(j_common_ptr info) {
    const int code = info->err->msg_code;
    if (code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM ||
        code == JWRN_NOT_SEQUENTIAL) {
      return;
    }
    Fail(info);
  }

  void Fail(j_common_ptr info) {
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    problem_ = absl::StrCat("not a whole JPEG image (libjpeg: ", text,
                            "). Get the file again");
    Jump();
  }

  void CheckScans() {
    if (info_.input_scan_number <= kMaxScans) return;
    problem_ = absl::StrCat("a JPEG image of more than ", kMaxScans,
                            " scans. Save it anew");
    Jump();
  }

  [[noreturn]] void Jump() { std::longjmp(jump_, 1); }

  jpeg_decompress_struct info_ = {};
  jpeg_error_mgr errors_ = {};
  jpeg_progress_mgr progress_ = {};
  std::jmp_buf jump_;
  std::string problem_;
  std::vector<uint8_t> row_;
  Image image_;
};

}  // namespace

absl::StatusOr<Image> DecodeJpeg(absl::string_view bytes) {
  return Decoder().Decode(bytes);
}

absl::StatusOr<Image> ReadJpegFile(const std::string& path) {
  std::error_code ignored;  // ReadFile says what is wrong.
  const uintmax_t size = std::filesystem::file_size(path, ignored);
  if (!ignored && size > kMaxFileBytes) {
    return absl::DataLossError(
        absl::StrCat(path, ": ", size, " bytes are more than an image has; ",
                     kMaxFileBytes, " at most can be read."));
  }
  HS_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  absl::StatusOr<Image> image = DecodeJpeg(bytes);
  if (image.ok()) return image;
  return absl::Status(image.status().code(),
                      absl::StrCat(path, ": ", image.status().message(), "."));
}

}  // namespace headstart::worker
