// What the scheduler knows about data sets and models without loading them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "headstart/v1/training_spec.pb.h"

namespace headstart::scheduler {

// The official files of a data set.
struct DatasetFacts {
  int64_t train_examples = 0;
  int64_t test_examples = 0;
  int64_t classes = 0;
  int64_t height = 0;  // And width.
  int64_t channels = 0;
};

// The kind that is set, as its field's name, such as mnist or lenet_300_100;
// empty when none is. Agents name the data sets they have the same way.
std::string DatasetName(const v1::TrainingSpec& training);
std::string ModelName(const v1::TrainingSpec& training);

// The settings of whichever data set is set; null when none is.
const v1::ImageDataset* FindDataset(const v1::TrainingSpec& training);

// Of the data set that is set; all 0 when none is.
DatasetFacts FactsOf(const v1::Dataset& dataset);

// Examples trained on in an epoch, after the split. The spec is complete.
int64_t TrainingExamples(const v1::TrainingSpec& training);

// Bytes of all parameters and buffers of the model on its data set, 0 when
// not known here.
int64_t ModelBytes(const v1::TrainingSpec& training);

}  // namespace headstart::scheduler
