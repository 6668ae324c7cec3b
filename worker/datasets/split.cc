#include "worker/datasets/split.h"

#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/random_stream.h"
#include "base/status_macros.h"

namespace headstart::worker {
namespace {

// How many of each class make `count`.
absl::StatusOr<int64_t> PerClass(absl::string_view field, int64_t count,
                                 int64_t classes) {
  if (count < 0 || count % classes != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": must be 0 or a multiple of the ", classes,
                     " classes, got ", count, "."));
  }
  return count / classes;
}

}  // namespace

absl::StatusOr<Split> SplitTrainingPart(absl::Span<const uint8_t> labels,
                                        int64_t classes,
                                        const SplitOptions& options) {
  HS_ASSIGN_OR_RETURN(
      const int64_t kept,
      PerClass("train_examples", options.train_examples, classes));
  HS_ASSIGN_OR_RETURN(
      const int64_t held_out,
      PerClass("validation_examples", options.validation_examples, classes));

  std::vector<std::vector<int32_t>> of_class(classes);
  for (size_t row = 0; row < labels.size(); ++row) {
    std::vector<int32_t>& rows = of_class[labels[row]];
    if (kept == 0 || static_cast<int64_t>(rows.size()) < kept) {
      rows.push_back(row);
    }
  }

  enum Use : uint8_t { kUnused, kTraining, kValidation };
  std::vector<Use> use(labels.size(), kUnused);
  for (int64_t c = 0; c < classes; ++c) {
    std::vector<int32_t>& rows = of_class[c];
    const int64_t count = rows.size();
    if (count < kept) {
      return absl::InvalidArgumentError(absl::StrCat(
          "train_examples: ", options.train_examples, " needs ", kept,
          " examples of every class, but class ", c, " has ", count, "."));
    }
    if (held_out >= count) {
      return absl::InvalidArgumentError(absl::StrCat(
          "validation_examples: ", options.validation_examples, " would take ",
          held_out, " examples of every class, but class ", c, " has ", count,
          " and at least one must stay for training."));
    }
    // The first steps of a Fisher-Yates shuffle.
    RandomStream stream =
        RandomStream(options.split_seed).Child("validation", c);
    for (int64_t i = 0; i < held_out; ++i) {
      std::swap(rows[i], rows[i + stream.UniformInt(count - i)]);
      use[rows[i]] = kValidation;
    }
    for (int64_t i = held_out; i < count; ++i) use[rows[i]] = kTraining;
  }

  Split split;
  for (size_t row = 0; row < use.size(); ++row) {
    if (use[row] == kTraining) split.training.push_back(row);
    if (use[row] == kValidation) split.validation.push_back(row);
  }
  return split;
}

std::vector<int32_t> EpochOrder(int64_t seed, int64_t epoch, int64_t count) {
  std::vector<int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  RandomStream stream = RandomStream(seed).Child("order", epoch);
  for (int64_t i = count - 1; i > 0; --i) {
    std::swap(order[i], order[stream.UniformInt(i + 1)]);
  }
  return order;
}

}  // namespace headstart::worker
