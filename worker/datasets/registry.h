// From a spec's data set to examples.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "worker/dataset_files/dataset_files.h"
#include "worker/datasets/dataset.h"
#include "worker/datasets/split.h"

namespace headstart::worker {

// Names as in the proto's Dataset: mnist.
std::vector<std::string> DatasetNames();

// The proto's Dataset.
struct DatasetSpec {
  std::string name;
  SplitOptions split;
};

// The examples that one training uses.
struct TrainingData {
  Examples training;
  Examples validation;  // Empty when the spec holds nothing out.
};

// Reads data sets from the folders that the process was started with, and keeps
// the one read last: a slot's trainings mostly ask for the same. One thread.
class DatasetReader final {
 public:
  explicit DatasetReader(std::vector<std::string> roots);

  //   NotFound         the data set is unknown or not in the folders.
  //   InvalidArgument  the split asks for what there is not, or a file is not
  //                    what it should be (see ReadDataset).
  absl::StatusOr<TrainingData> ReadTraining(const DatasetSpec& spec);
  // All of the official test part. The part is read when first asked for.
  absl::StatusOr<Examples> ReadTest(const DatasetSpec& spec);

 private:
  using Part = std::shared_ptr<const RawExamples>;

  absl::StatusOr<Part> Read(const DatasetInfo& info, DatasetPart part);

  const std::vector<std::string> roots_;
  const DatasetInfo* info_ = nullptr;  // What the parts are of.
  Part train_;
  Part test_;
};

}  // namespace headstart::worker
