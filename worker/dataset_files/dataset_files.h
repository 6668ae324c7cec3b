// Finds, reads and checks the files of the known data sets. The agent and the
// client list with it, the trainer reads with it; it knows nothing of tensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "worker/dataset_files/catalogue.h"
#include "worker/dataset_files/raw_examples.h"

namespace headstart::worker {

enum class DatasetPart { kTrain, kTest };

// What is there of one known data set.
struct DatasetPresence {
  const DatasetInfo* info;
  // The folder that holds all files, or the one with most of them, or, if no
  // file was found, the usual one below the first root. Empty without roots.
  std::string folder;
  std::vector<std::string> missing_files;  // Empty: the data set is complete.
};

// One entry per known data set, in the catalogue's order. `roots` are the data
// sets folders that a worker was started with; the first that has all files of
// a data set is taken. Looks at names only.
std::vector<DatasetPresence> ListDatasets(absl::Span<const std::string> roots);

// Reads one part. Every byte is checked: sizes, magic numbers, labels, and at
// last the CRC-32 of each file's content.
//   NotFound  no root has all files; the message names the missing ones and
//             where to get them.
//   DataLoss  a file is not what it must be; the message names it and the
//             offset.
absl::StatusOr<RawExamples> ReadDataset(absl::Span<const std::string> roots,
                                        const DatasetInfo& info,
                                        DatasetPart part);

// Reads both parts and drops them. Errors as ReadDataset.
absl::Status VerifyDataset(absl::Span<const std::string> roots,
                           const DatasetInfo& info);

}  // namespace headstart::worker
