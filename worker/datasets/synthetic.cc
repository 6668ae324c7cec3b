#include "worker/datasets/synthetic.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "base/random_stream.h"
#include "base/status_macros.h"

namespace headstart::worker {
namespace {

// Pattern and noise around the middle of a byte's range.
constexpr double kMiddle = 128;
constexpr double kDeviation = 32;
constexpr int kWaves = 4;

absl::Status Check(const SyntheticOptions& options) {
  const std::pair<absl::string_view, int64_t> fields[] = {
      {"train_examples", options.train_examples},
      {"test_examples", options.test_examples},
      {"channels", options.channels},
      {"image_size", options.image_size},
      {"classes", options.classes}};
  for (const auto& [name, value] : fields) {
    if (value < 1 || value > std::numeric_limits<int32_t>::max()) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, ": must be above 0 and below 2^31, got ", value, "."));
    }
  }
  if (options.train_examples < options.classes) {
    return absl::InvalidArgumentError(
        absl::StrCat("train_examples: must be at least the ", options.classes,
                     " classes, got ", options.train_examples, "."));
  }
  constexpr double kMaxBytes = 8.0 * (1 << 30);
  const double image = static_cast<double>(options.channels) *
                       options.image_size * options.image_size;
  const double most =
      std::max<double>({static_cast<double>(options.train_examples),
                        static_cast<double>(options.test_examples),
                        static_cast<double>(options.classes)});
  if (image * most <= kMaxBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "image_size: ", options.image_size, " makes images of ", image,
      " bytes, and ", most, " of them are more than 8 GiB."));
}

// [channels, size, size]: a few plane waves of whole periods, so that it may be
// shifted around, of mean 0 and deviation kDeviation.
std::vector<double> MakePattern(const SyntheticOptions& options,
                                RandomStream stream) {
  const int64_t size = options.image_size;
  std::vector<double> pattern;
  for (int64_t c = 0; c < options.channels; ++c) {
    double periods_x[kWaves], periods_y[kWaves], phase[kWaves];
    for (int w = 0; w < kWaves; ++w) {
      periods_x[w] = stream.UniformInt(4);
      periods_y[w] = 1 + stream.UniformInt(3);
      phase[w] = stream.Uniform();
    }
    for (int64_t y = 0; y < size; ++y) {
      for (int64_t x = 0; x < size; ++x) {
        double sum = 0;
        for (int w = 0; w < kWaves; ++w) {
          sum += std::cos(
              2 * std::numbers::pi *
              (phase[w] + (periods_x[w] * x + periods_y[w] * y) / size));
        }
        pattern.push_back(sum * kDeviation * std::sqrt(2.0 / kWaves));
      }
    }
  }
  return pattern;
}

// Close to normal, of deviation 1: 8 bytes of uniform numbers, added.
double DrawNoise(RandomStream& stream) {
  uint64_t bits = stream.Bits64();
  double sum = 0;
  for (int i = 0; i < 8; ++i, bits >>= 8) sum += bits & 0xff;
  return (sum - 8 * 127.5) / std::sqrt(8 * (65536.0 - 1) / 12);
}

}  // namespace

absl::StatusOr<RawExamples> MakeSynthetic(const SyntheticOptions& options,
                                          DatasetPart part) {
  HS_RETURN_IF_ERROR(Check(options));
  const RandomStream stream = RandomStream(options.seed).Child("synthetic");
  std::vector<std::vector<double>> patterns;
  for (int64_t c = 0; c < options.classes; ++c) {
    patterns.push_back(MakePattern(options, stream.Child("pattern", c)));
  }
  const bool train = part == DatasetPart::kTrain;
  const int64_t count = train ? options.train_examples : options.test_examples;
  const int64_t size = options.image_size;
  RawExamples examples;
  examples.pixels.reserve(count * options.channels * size * size);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t label = i % options.classes;
    const std::vector<double>& pattern = patterns[label];
    RandomStream draws = stream.Child(train ? "train" : "test", i);
    const int64_t shift_y = draws.UniformInt(size / 8 + 1);
    const int64_t shift_x = draws.UniformInt(size / 8 + 1);
    for (int64_t c = 0; c < options.channels; ++c) {
      for (int64_t y = 0; y < size; ++y) {
        const double* row =
            pattern.data() + (c * size + (y + shift_y) % size) * size;
        for (int64_t x = 0; x < size; ++x) {
          const double value = kMiddle + row[(x + shift_x) % size] +
                               kDeviation * DrawNoise(draws);
          examples.pixels.push_back(
              static_cast<uint8_t>(std::clamp(value, 0.0, 255.0)));
        }
      }
    }
    examples.labels.push_back(label);
  }
  return examples;
}

}  // namespace headstart::worker
