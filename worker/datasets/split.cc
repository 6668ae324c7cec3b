#include "worker/datasets/split.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "base/random_stream.h"
#include "base/status_macros.h"

namespace headstart::worker {
namespace {

absl::Status CheckOptions(const SplitOptions& options);
absl::StatusOr<int64_t> PerClass(absl::string_view field, int64_t count,
                                 int64_t classes);
absl::StatusOr<std::vector<int32_t>> FirstOfEachClass(
    absl::Span<const int32_t> labels, int64_t classes, int64_t train_examples);
absl::StatusOr<std::vector<int32_t>> HoldOut(absl::Span<const int32_t> labels,
                                             int64_t classes,
                                             const std::vector<int32_t>& pool,
                                             const SplitOptions& options,
                                             int64_t seed);
std::vector<int32_t> NoisyLabels(absl::Span<const int32_t> labels,
                                 int64_t classes, std::vector<int32_t> pool,
                                 double fraction, int64_t seed);
std::vector<int32_t> FirstChunks(std::vector<int32_t> rows,
                                 const SplitOptions& options, int64_t seed);
void DrawToFront(std::vector<int32_t>& rows, int64_t count,
                 RandomStream stream);
Rows WithLabels(std::vector<int32_t> rows, absl::Span<const int32_t> labels);

}  // namespace

absl::StatusOr<Split> SplitTrainingPart(absl::Span<const int32_t> labels,
                                        int64_t classes,
                                        const SplitOptions& options,
                                        int64_t run_seed) {
  HS_RETURN_IF_ERROR(CheckOptions(options));
  const int64_t split_seed =
      options.split_per_run ? run_seed : options.split_seed;
  const LabelNoise& noise = options.label_noise;
  HS_ASSIGN_OR_RETURN(
      const std::vector<int32_t> pool,
      FirstOfEachClass(labels, classes, options.train_examples));
  HS_ASSIGN_OR_RETURN(std::vector<int32_t> validation,
                      HoldOut(labels, classes, pool, options, split_seed));
  std::vector<int32_t> training;
  std::set_difference(pool.begin(), pool.end(), validation.begin(),
                      validation.end(), std::back_inserter(training));
  if (training.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "validation_examples: ", options.validation_examples, " would take ",
        "all ", pool.size(), " examples, but at least one must stay for ",
        "training."));
  }
  const std::vector<int32_t> noisy =
      NoisyLabels(labels, classes, pool, noise.fraction,
                  noise.per_run ? run_seed : noise.seed);
  training = FirstChunks(std::move(training), options, split_seed);
  if (training.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("chunk: the first ", options.chunk, " of ", options.chunks,
                     " chunks hold no example."));
  }
  return Split{
      .training = WithLabels(std::move(training), noisy),
      .validation = WithLabels(
          std::move(validation),
          noise.clean_validation ? labels : absl::Span<const int32_t>(noisy))};
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

namespace {

absl::Status CheckOptions(const SplitOptions& options) {
  if (options.chunks < 1 || options.chunk < 1 ||
      options.chunk > options.chunks) {
    return absl::InvalidArgumentError(
        absl::StrCat("chunk: must be from 1 to chunks, got chunk ",
                     options.chunk, " of ", options.chunks, "."));
  }
  const double fraction = options.label_noise.fraction;
  if (!(fraction >= 0 && fraction <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "label_noise.fraction: must be from 0 to 1, got ", fraction, "."));
  }
  return absl::OkStatus();
}

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

absl::StatusOr<std::vector<int32_t>> FirstOfEachClass(
    absl::Span<const int32_t> labels, int64_t classes, int64_t train_examples) {
  HS_ASSIGN_OR_RETURN(const int64_t kept,
                      PerClass("train_examples", train_examples, classes));
  std::vector<int64_t> counts(classes);
  std::vector<int32_t> rows;
  for (size_t row = 0; row < labels.size(); ++row) {
    if (kept == 0 || counts[labels[row]] < kept) {
      ++counts[labels[row]];
      rows.push_back(row);
    }
  }
  const auto least = std::min_element(counts.begin(), counts.end());
  if (*least < kept) {
    return absl::InvalidArgumentError(
        absl::StrCat("train_examples: ", train_examples, " needs ", kept,
                     " examples of every class, but class ",
                     least - counts.begin(), " has ", *least, "."));
  }
  return rows;
}

absl::StatusOr<std::vector<int32_t>> HoldOut(absl::Span<const int32_t> labels,
                                             int64_t classes,
                                             const std::vector<int32_t>& pool,
                                             const SplitOptions& options,
                                             int64_t seed) {
  const int64_t wanted = options.validation_examples;
  std::vector<int32_t> held_out;
  if (options.split == SplitKind::kPlain) {
    const int64_t count = pool.size();
    if (wanted < 0 || wanted >= std::max<int64_t>(count, 1)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "validation_examples: must be from 0 to ", count - 1, ", one below ",
          "the examples there are, got ", wanted, "."));
    }
    held_out = pool;
    DrawToFront(held_out, wanted, RandomStream(seed).Child("plain_validation"));
    held_out.resize(wanted);
    std::sort(held_out.begin(), held_out.end());
    return held_out;
  }

  HS_ASSIGN_OR_RETURN(const int64_t each,
                      PerClass("validation_examples", wanted, classes));
  if (each == 0) return held_out;
  std::vector<std::vector<int32_t>> of_class(classes);
  for (const int32_t row : pool) of_class[labels[row]].push_back(row);
  for (int64_t c = 0; c < classes; ++c) {
    std::vector<int32_t>& rows = of_class[c];
    const int64_t count = rows.size();
    if (each >= count) {
      return absl::InvalidArgumentError(
          absl::StrCat("validation_examples: ", wanted, " would take ", each,
                       " examples of every class, but class ", c, " has ",
                       count, " and at least one must stay for training."));
    }
    DrawToFront(rows, each, RandomStream(seed).Child("validation", c));
    held_out.insert(held_out.end(), rows.begin(), rows.begin() + each);
  }
  std::sort(held_out.begin(), held_out.end());
  return held_out;
}

std::vector<int32_t> NoisyLabels(absl::Span<const int32_t> labels,
                                 int64_t classes, std::vector<int32_t> pool,
                                 double fraction, int64_t seed) {
  std::vector<int32_t> noisy(labels.begin(), labels.end());
  const int64_t count = std::llround(fraction * pool.size());
  const RandomStream stream = RandomStream(seed).Child("label_noise");
  DrawToFront(pool, count, stream.Child("rows"));
  RandomStream drawn = stream.Child("labels");
  for (int64_t i = 0; i < count; ++i) {
    noisy[pool[i]] = drawn.UniformInt(classes);
  }
  return noisy;
}

std::vector<int32_t> FirstChunks(std::vector<int32_t> rows,
                                 const SplitOptions& options, int64_t seed) {
  const int64_t count = rows.size();
  if (options.chunk == options.chunks) return rows;
  // Drawn as a whole: each chunk extends the ones before it.
  DrawToFront(rows, count, RandomStream(seed).Child("chunks"));
  // In double: the product of two large int64 may not fit one.
  rows.resize(static_cast<int64_t>(static_cast<double>(count) * options.chunk /
                                   options.chunks));
  std::sort(rows.begin(), rows.end());
  return rows;
}

// The first steps of a Fisher-Yates shuffle.
void DrawToFront(std::vector<int32_t>& rows, int64_t count,
                 RandomStream stream) {
  const int64_t size = rows.size();
  for (int64_t i = 0; i < count; ++i) {
    std::swap(rows[i], rows[i + stream.UniformInt(size - i)]);
  }
}

Rows WithLabels(std::vector<int32_t> rows, absl::Span<const int32_t> labels) {
  Rows result = {.rows = std::move(rows), .labels = {}};
  for (const int32_t row : result.rows) result.labels.push_back(labels[row]);
  return result;
}

}  // namespace
}  // namespace headstart::worker
