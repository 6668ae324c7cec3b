// Which examples are used for what, and in which order: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace headstart::worker {

// How the official training part is divided; the proto's ImageDataset.
struct SplitOptions {
  int64_t validation_examples = 0;  // A multiple of the number of classes.
  int64_t train_examples = 0;       // 0: all.
  int64_t split_seed = 0;
};

// Rows of the official training part, ascending.
struct Split {
  std::vector<int32_t> training;
  std::vector<int32_t> validation;
};

// Takes the first train_examples / classes examples of each class, then draws
// validation_examples / classes of each class for validation.
//   InvalidArgument  a number is negative, no multiple of the classes, or more
//                    than there are; the message names the field.
absl::StatusOr<Split> SplitTrainingPart(absl::Span<const uint8_t> labels,
                                        int64_t classes,
                                        const SplitOptions& options);

// The order in which epoch `epoch` (from 1) visits `count` examples: a
// permutation of 0 .. count - 1 that depends on the arguments alone, so that a
// resumed run goes on with the order that it would have had.
std::vector<int32_t> EpochOrder(int64_t seed, int64_t epoch, int64_t count);

}  // namespace headstart::worker
