// A data set made from a seed, for trying things out where there are no files.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

#include "worker/dataset_files/dataset_files.h"

namespace headstart::worker {

// The proto's Synthetic.
struct SyntheticOptions {
  int64_t train_examples = 0;
  int64_t test_examples = 0;
  int64_t channels = 0;
  int64_t image_size = 0;
  int64_t classes = 0;
  int64_t seed = 0;

  bool operator==(const SyntheticOptions&) const = default;
};

// Each class has a smooth pattern of its own, and each example is its class's
// pattern, shifted by up to an eighth of the side, plus normal noise that is as
// strong as the pattern: easy for a small network and not for guessing. Example
// i has label i mod classes. A pure function of its arguments: both parts have
// the same patterns.
//   InvalidArgument  a number is not above 0, or there are fewer training
//                    examples than classes, or more pixels than 8 GiB; the
//                    message names the field.
absl::StatusOr<RawExamples> MakeSynthetic(const SyntheticOptions& options,
                                          DatasetPart part);

}  // namespace headstart::worker
