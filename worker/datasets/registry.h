// From a spec's data set to examples.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "worker/dataset_files/dataset_files.h"
#include "worker/datasets/augmentation.h"
#include "worker/datasets/dataset.h"
#include "worker/datasets/jpeg_images.h"
#include "worker/datasets/split.h"
#include "worker/datasets/synthetic.h"
#include "worker/plugin/plugins.h"

namespace headstart::worker {

// Names as in the proto's Dataset: mnist.
std::vector<std::string> DatasetNames();

// Both per channel and of pixels scaled to [0, 1], or both empty: the data
// set's own.
struct NormalizationOptions {
  std::vector<double> mean;
  std::vector<double> standard_deviation;
};

// The proto's Dataset.
struct DatasetSpec {
  std::string name;
  SplitOptions split;
  NormalizationOptions normalization;
  // Data sets of JPEG files only. The number of classes that the folder must
  // have; 0: the official one.
  int64_t classes = 0;
  // Height and width that images are brought to; 0: the usual one.
  int64_t image_size = 0;
  // image_folder only: its name below a data sets folder.
  std::string folder;
  // synthetic only.
  SyntheticOptions synthetic;
  // plugin only; the name above is then plugin/<its name>/<its version>.
  std::optional<PluginSpec> plugin;
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
  // Borrows `plugins`, which must outlive it; null: there are none.
  explicit DatasetReader(std::vector<std::string> roots,
                         DecodeOptions decoding = {},
                         const Plugins* plugins = nullptr);

  // The run's seed draws what the spec wants drawn per run. The examples are
  // ready for `augmentation`.
  //   NotFound            the data set is unknown or not in the folders.
  //   InvalidArgument     the split asks for what there is not, or a field does
  //                       not fit the data set; the message names it.
  //   FailedPrecondition  the folder has another number of classes.
  //   DataLoss            a file is not what it should be (see ReadDataset).
  //   Cancelled           as DecodeOptions asked.
  // Of a plug-in's data set: as Plugins::ReadImages, and what that throws.
  absl::StatusOr<TrainingData> ReadTraining(
      const DatasetSpec& spec, int64_t run_seed,
      const AugmentationOptions& augmentation = {});
  // All of the official test part. The part is read when first asked for.
  absl::StatusOr<Examples> ReadTest(const DatasetSpec& spec);

 private:
  // One official part.
  struct Part {
    std::shared_ptr<ImageSource> source;
    std::vector<int32_t> labels;
    InputInfo input;
  };

  absl::StatusOr<const Part*> Read(const DatasetSpec& spec, DatasetPart part);
  absl::StatusOr<Part> ReadAnew(const DatasetSpec& spec,
                                DatasetPart part) const;
  absl::StatusOr<Part> ReadPlugin(const PluginSpec& spec,
                                  DatasetPart part) const;
  absl::StatusOr<Part> ReadTree(const DatasetSpec& spec,
                                const DatasetInfo& info,
                                DatasetPart part) const;

  const std::vector<std::string> roots_;
  const DecodeOptions decoding_;
  const Plugins* const plugins_;
  DatasetSpec spec_;  // What the parts are of.
  Part train_;
  Part test_;
};

}  // namespace headstart::worker
