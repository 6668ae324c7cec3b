// The data sets that headstart knows, and the official files they are made of.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace headstart::worker {

enum class DatasetFormat {
  kIdx,          // gzip; images and labels in files of their own.
  kCifarBinary,  // Records of a label byte and 3 x 32 x 32 pixels.
  // The same behind one more byte, the coarse label. One file a part, of any
  // whole number of records: less than the official number is a subset.
  kCifar100Binary,
  // Trees of JPEG files; image_tree.h says which.
  kTinyImagenet,
  kFood101,
  kImageFolder,
};

// One official file, or a folder of a tree.
struct DatasetFile {
  absl::string_view name;
  // Without compression. A mirror may have compressed the same content anew,
  // so the size on disk says nothing. 0 where it may be any.
  int64_t content_bytes = 0;
  // 0 where none is known: sizes and labels are checked even so.
  uint32_t content_crc32 = 0;
};

// A data set as its authors published it. What image_folder holds is up to its
// folder: there are no numbers of examples and classes.
struct DatasetInfo {
  absl::string_view name;  // As in the proto's Dataset: mnist.
  DatasetFormat format;
  int64_t train_examples;
  int64_t test_examples;
  int64_t channels;
  // Of trees: what images are brought to unless a spec says otherwise.
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

// Whether the images are JPEG files, to be found with ListImages.
inline bool IsImageTree(const DatasetInfo& info) {
  return info.format == DatasetFormat::kTinyImagenet ||
         info.format == DatasetFormat::kFood101 ||
         info.format == DatasetFormat::kImageFolder;
}

absl::Span<const DatasetInfo> KnownDatasets();

// Null when there is no data set of that name.
const DatasetInfo* FindDatasetInfo(absl::string_view name);

}  // namespace headstart::worker
