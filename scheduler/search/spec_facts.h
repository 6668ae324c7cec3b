// What the scheduler knows about data sets and models without loading them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "headstart/v1/training_spec.pb.h"

namespace headstart::scheduler {

struct DatasetFacts {
  // Of the official files; 0 where a worker may have a part of them.
  int64_t train_examples = 0;
  int64_t classes = 0;
  int64_t image_size = 0;  // Height and width.
  int64_t channels = 0;
  bool jpeg = false;  // One file per image.
};

// The kind that is set, as its field's name, such as mnist or lenet_300_100;
// empty when none is. Agents name the data sets they have the same way; an
// image folder is image_folder/<its name>, and what comes from a plug-in
// plugin/<name>/<version>.
std::string DatasetName(const v1::TrainingSpec& training);
std::string ModelName(const v1::TrainingSpec& training);

// Where in a TrainingSpec the settings stand that all data sets share, such as
// dataset.mnist.
std::string DatasetPath(const v1::Dataset& dataset);

// The settings of whichever data set of image files is set; null when none is.
const v1::ImageDataset* FindImageDataset(const v1::Dataset& dataset);
v1::ImageDataset* FindImageDataset(v1::Dataset& dataset);

// Examples held out for validation. The spec is complete.
int64_t ValidationExamples(const v1::TrainingSpec& training);

// Of the data set that is set; all 0 when none is, or one of a plug-in. The
// spec is complete.
DatasetFacts FactsOf(const v1::Dataset& dataset);

// Examples trained on in an epoch, after the split; none when only the worker
// that has the files can tell. The spec is complete.
std::optional<int64_t> TrainingExamples(const v1::TrainingSpec& training);

// Bytes of all parameters and buffers of the model on its data set, 0 when
// not known here.
int64_t ModelBytes(const v1::TrainingSpec& training);

}  // namespace headstart::scheduler
