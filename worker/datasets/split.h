// Which examples are used for what, under which label, and in which order: pure
// functions.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace headstart::worker {

enum class SplitKind {
  kStratified,  // The same number of every class is held out.
  kPlain,       // Any examples are.
};

// Random labels for a share of the training part.
struct LabelNoise {
  // From 0 to 1. This share of the examples, rounded, gets a label drawn from
  // all classes, so that one in `classes` of them keeps the label it had.
  double fraction = 0;
  int64_t seed = 0;
  bool per_run = false;  // Drawn by the run's seed instead.
  bool clean_validation = false;
};

// How the official training part is used; the proto's ImageDataset.
struct SplitOptions {
  int64_t validation_examples = 0;
  int64_t train_examples = 0;  // 0: all. A multiple of the number of classes.
  int64_t split_seed = 0;
  SplitKind split = SplitKind::kStratified;
  bool split_per_run = false;  // Drawn by the run's seed instead.
  LabelNoise label_noise;
  // Train on the first `chunk` of `chunks` equal parts of what is not held
  // out, in an order drawn with the split.
  int64_t chunks = 1;
  int64_t chunk = 1;
};

// Rows of the official training part, ascending, and their labels.
struct Rows {
  std::vector<int32_t> rows;
  std::vector<int32_t> labels;
};
struct Split {
  Rows training;
  Rows validation;
};

// From the official labels, each below `classes`, in this order:
//  1. the first train_examples / classes examples of each class are kept;
//  2. validation_examples of these are drawn;
//  3. of all that are kept, the labels that the noise asks for are drawn anew;
//  4. of those not held out, the first chunks are kept.
// Steps 1, 2 and 4 look at the official labels, so that label noise changes
// labels and nothing else.
//   InvalidArgument  a number is negative, no multiple of the classes where it
//                    must be, or more than there are; the message names the
//                    field.
absl::StatusOr<Split> SplitTrainingPart(absl::Span<const int32_t> labels,
                                        int64_t classes,
                                        const SplitOptions& options,
                                        int64_t run_seed);

// The order in which epoch `epoch` (from 1) visits `count` examples: a
// permutation of 0 .. count - 1 that depends on the arguments alone, so that a
// resumed run goes on with the order that it would have had.
std::vector<int32_t> EpochOrder(int64_t seed, int64_t epoch, int64_t count);

}  // namespace headstart::worker
