// The two file formats: IDX in gzip (MNIST and its kin), CIFAR's binary
// batches.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace headstart::worker {

// What a file must hold.
struct ImageFormat {
  int64_t channels;
  int64_t height;
  int64_t width;
  int64_t classes;
  // CIFAR-100's records have a coarse label in front of the fine one, below
  // this number; it is checked and dropped. 0: there is none.
  int64_t coarse_classes = 0;
};

// Each call fills its spans with one file's examples and returns the CRC-32 of
// the file's content. As many examples as the spans hold must be there, and
// nothing behind them. Offsets in messages count from the start of the
// uncompressed content.
//   NotFound  there is no such file.
//   DataLoss  it is not what it must be: another format, count or size of
//             images, a label that is no class, cut short, too long, or damaged
//             as gzip finds. Never InvalidArgument: whoever asked for the data
//             set asked for the right thing, and another worker's file may be
//             whole.
absl::StatusOr<uint32_t> ReadIdxImages(const std::string& path,
                                       const ImageFormat& format,
                                       absl::Span<uint8_t> pixels);
absl::StatusOr<uint32_t> ReadIdxLabels(const std::string& path,
                                       const ImageFormat& format,
                                       absl::Span<uint8_t> labels);
absl::StatusOr<uint32_t> ReadCifarBatch(const std::string& path,
                                        const ImageFormat& format,
                                        absl::Span<uint8_t> pixels,
                                        absl::Span<uint8_t> labels);

}  // namespace headstart::worker
