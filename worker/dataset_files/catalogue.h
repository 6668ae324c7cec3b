// The data sets that headstart knows, and the official files they are made of.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace headstart::worker {

enum class DatasetFormat {
  kIdx,          // gzip; images and labels in files of their own.
  kCifarBinary,  // Records of a label byte and 3 x 32 x 32 pixels.
};

// One official file.
struct DatasetFile {
  absl::string_view name;
  // Without compression. A mirror may have compressed the same content anew,
  // so the size on disk says nothing.
  int64_t content_bytes;
  uint32_t content_crc32;
};

// A data set as its authors published it.
struct DatasetInfo {
  absl::string_view name;  // As in the proto's Dataset: mnist.
  DatasetFormat format;
  int64_t train_examples;
  int64_t test_examples;
  int64_t channels;
  int64_t height;
  int64_t width;
  int64_t classes;
  // Of the official training part, with pixels scaled to [0, 1]; per channel.
  absl::Span<const double> mean;
  absl::Span<const double> standard_deviation;
  // For IDX images then labels; for CIFAR in the order of the examples.
  absl::Span<const DatasetFile> train_files;
  absl::Span<const DatasetFile> test_files;
  // Where the files may lie below a data sets folder; the first is the usual
  // one.
  absl::Span<const absl::string_view> folders;
  absl::string_view where_to_get_it;
};

absl::Span<const DatasetInfo> KnownDatasets();

// Null when there is no data set of that name.
const DatasetInfo* FindDatasetInfo(absl::string_view name);

}  // namespace headstart::worker
