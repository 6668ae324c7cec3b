// Finds, reads and checks the files of the known data sets. The agent and the
// client list with it, the trainer reads with it; it knows nothing of tensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "worker/dataset_files/catalogue.h"
#include "worker/dataset_files/image_tree.h"
#include "worker/dataset_files/raw_examples.h"

namespace headstart::worker {

// What is there of one data set.
struct DatasetPresence {
  // As in the proto's Dataset; image_folder/<folder> for one of the user's.
  std::string name;
  const DatasetInfo* info;
  // The folder that holds all files, or the one with most of them, or, if no
  // file was found, the usual one below the first root. Empty without roots.
  std::string folder;
  std::vector<std::string> missing_files;  // Empty: the data set is complete.
};

// One entry per known data set, in the catalogue's order, then one for each
// folder of images: one with train/ and with test/ or val/, and with a name
// that a spec may have. `roots` are the data sets folders that a worker was
// started with; the first that has all files of a data set is taken. Looks at
// names only.
std::vector<DatasetPresence> ListDatasets(absl::Span<const std::string> roots);

// Reads one part of a data set that is no image tree. Every byte is checked:
// sizes, magic numbers, labels, and at last the CRC-32 of each file's content
// where it is known.
//   NotFound  no root has all files; the message names the missing ones and
//             where to get them.
//   DataLoss  a file is not what it must be; the message names it and the
//             offset.
absl::StatusOr<RawExamples> ReadDataset(absl::Span<const std::string> roots,
                                        const DatasetInfo& info,
                                        DatasetPart part);

// The images of one part of an image tree. `folder` is the name of an
// image_folder and empty for the others. Errors as ReadDataset's, and
//   InvalidArgument  `folder` is not the name of a folder.
absl::StatusOr<ImageList> ListImages(absl::Span<const std::string> roots,
                                     const DatasetInfo& info,
                                     absl::string_view folder,
                                     DatasetPart part);

// Reads both parts, decodes every image, and drops them. Returns what a person
// should know of a data set that is whole but not the official one: "a subset:
// 500 of 100000 training and 200 of 10000 test examples"; empty otherwise.
// Errors as ReadDataset's.
absl::StatusOr<std::string> VerifyDataset(absl::Span<const std::string> roots,
                                          const DatasetPresence& presence);

// That sentence: empty when the numbers are the official ones, or there are
// none.
std::string SubsetNote(const DatasetInfo& info, int64_t train_examples,
                       int64_t test_examples);

}  // namespace headstart::worker
