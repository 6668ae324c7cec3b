#include "worker/datasets/synthetic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "tests/support/status_matchers.h"

namespace headstart::worker {
namespace {

constexpr SyntheticOptions kOptions = {.train_examples = 300,
                                       .test_examples = 100,
                                       .channels = 2,
                                       .image_size = 16,
                                       .classes = 5,
                                       .seed = 3};
constexpr int64_t kImageBytes = 2 * 16 * 16;

// Mean image of each class.
std::vector<std::vector<double>> ClassMeans(const RawExamples& examples) {
  std::vector<std::vector<double>> means(5, std::vector<double>(kImageBytes));
  std::vector<int> counts(5);
  for (size_t i = 0; i < examples.labels.size(); ++i) {
    ++counts[examples.labels[i]];
    for (int64_t k = 0; k < kImageBytes; ++k) {
      means[examples.labels[i]][k] += examples.pixels[i * kImageBytes + k];
    }
  }
  for (size_t c = 0; c < means.size(); ++c) {
    for (double& value : means[c]) value /= counts[c];
  }
  return means;
}

TEST(SyntheticTest, IsAPureFunctionOfItsSeed) {
  SyntheticOptions other = kOptions;
  other.seed = 4;

  ASSERT_OK_AND_ASSIGN(const RawExamples a,
                       MakeSynthetic(kOptions, DatasetPart::kTrain));
  ASSERT_OK_AND_ASSIGN(const RawExamples b,
                       MakeSynthetic(kOptions, DatasetPart::kTrain));
  ASSERT_OK_AND_ASSIGN(const RawExamples c,
                       MakeSynthetic(other, DatasetPart::kTrain));

  EXPECT_EQ(a.pixels, b.pixels);
  EXPECT_NE(a.pixels, c.pixels);
  EXPECT_EQ(a.pixels.size(), 300u * kImageBytes);
  EXPECT_EQ(a.labels.size(), 300u);
}

TEST(SyntheticTest, HasClassesThatTheirMeansTellApartOnTheTestPart) {
  ASSERT_OK_AND_ASSIGN(const RawExamples train,
                       MakeSynthetic(kOptions, DatasetPart::kTrain));
  ASSERT_OK_AND_ASSIGN(const RawExamples test,
                       MakeSynthetic(kOptions, DatasetPart::kTest));
  const std::vector<std::vector<double>> means = ClassMeans(train);
  int correct = 0;
  for (size_t i = 0; i < test.labels.size(); ++i) {
    int nearest = 0;
    double least = std::numeric_limits<double>::infinity();
    for (int c = 0; c < 5; ++c) {
      double distance = 0;
      for (int64_t k = 0; k < kImageBytes; ++k) {
        const double off = test.pixels[i * kImageBytes + k] - means[c][k];
        distance += off * off;
      }
      if (distance < least) {
        least = distance;
        nearest = c;
      }
    }
    correct += nearest == test.labels[i];
  }
  EXPECT_GE(correct, 90);
}

TEST(SyntheticTest, FillsTheRangeOfAByte) {
  ASSERT_OK_AND_ASSIGN(const RawExamples train,
                       MakeSynthetic(kOptions, DatasetPart::kTrain));
  const double count = train.pixels.size();
  double sum = 0, squares = 0;
  for (const uint8_t pixel : train.pixels) {
    sum += pixel;
    squares += pixel * pixel;
  }
  const double mean = sum / count;
  EXPECT_NEAR(mean, 127.5, 10);
  // Pattern and noise of 32 each.
  EXPECT_NEAR(std::sqrt(squares / count - mean * mean), 45, 6);
}

TEST(SyntheticTest, NamesTheFieldThatCannotBe) {
  const auto status = [](int64_t SyntheticOptions::*field, int64_t value) {
    SyntheticOptions options = kOptions;
    options.*field = value;
    return MakeSynthetic(options, DatasetPart::kTrain).status();
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

  EXPECT_THAT(status(&SyntheticOptions::channels, 0),
              StatusIs(kInvalid, "channels: must be above 0"));
  EXPECT_THAT(status(&SyntheticOptions::train_examples, 4),
              StatusIs(kInvalid, "train_examples: must be at least the 5"));
  EXPECT_THAT(status(&SyntheticOptions::image_size, int64_t{1} << 31),
              StatusIs(kInvalid, "image_size"));
  EXPECT_THAT(status(&SyntheticOptions::image_size, 100'000),
              StatusIs(kInvalid, "8 GiB"));
}

}  // namespace
}  // namespace headstart::worker
