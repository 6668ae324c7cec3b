// The safetensors file format, both ways.
//
//   bytes 0..7   size of the header, little-endian
//   header       JSON: {"__metadata__": {text: text}, "<tensor>": {"dtype":
//                "F32", "shape": [300, 784], "data_offsets": [begin, end]}, ..}
//                padded with spaces to a multiple of 8 bytes
//   data         the tensors' bytes, without gaps, in the order of the offsets
//
// Only the header is made and read here; who has the bytes streams them after
// it. That keeps a download of any size in constant memory.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "base/dtype.h"

namespace headstart::storage {

struct SafetensorsTensor {
  std::string name = {};
  DType dtype = DType::kF32;
  std::vector<int64_t> shape = {};  // Empty for a scalar.
  int64_t offset = 0;  // First byte, counted from the start of data.
  int64_t bytes = 0;   // Elements times the size of one.
};

struct SafetensorsLayout {
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsTensor> tensors;  // By offset.
  int64_t data_offset = 0;                 // Where data begins in the file.
  int64_t file_bytes = 0;
};

// The largest header that is read or written, in bytes: the format's own limit.
inline constexpr int64_t kSafetensorsHeaderBytesMax = 100'000'000;

// A file begins with so many bytes that say how large the header is.
inline constexpr int64_t kSafetensorsSizeBytes = 8;

// The most tensors that are read.
inline constexpr int64_t kSafetensorsTensorsMax = 100'000;

// Lays `tensors` out in the order given and returns the file's first bytes, up
// to where data begin. offset and bytes of `tensors` need not be set.
//   InvalidArgument  a name twice or "__metadata__", a negative or overflowing
//                    shape, a header beyond kSafetensorsHeaderBytesMax.
absl::StatusOr<std::string> MakeSafetensorsHeader(
    const std::vector<SafetensorsTensor>& tensors,
    const std::map<std::string, std::string>& metadata);

// Where data begin in the file that starts with `bytes`; `file_bytes` is the
// size of the whole file. Errors as below.
absl::StatusOr<int64_t> SafetensorsDataOffset(absl::string_view bytes,
                                              int64_t file_bytes);

// Reads the header at the start of `bytes`, which may be the file's beginning
// or all of it; `file_bytes` is the size of the whole file. No size in the
// header is believed before it was checked: offsets cover the data without gap
// or overlap, shapes match them, and the file ends where they end.
//   InvalidArgument  not a safetensors file, saying what is wrong and where.
//   OutOfRange       `bytes` ends within the header; its message says how many
//                    bytes are needed.
absl::StatusOr<SafetensorsLayout> ParseSafetensorsHeader(
    absl::string_view bytes, int64_t file_bytes);

}  // namespace headstart::storage
