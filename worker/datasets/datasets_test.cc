#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/status_matchers.h"
#include "worker/datasets/dataset.h"
#include "worker/datasets/registry.h"
#include "worker/datasets/split.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// 12 examples of each of 3 classes, in the order 0 1 2 0 1 2 ...
std::vector<uint8_t> Labels() {
  std::vector<uint8_t> labels;
  for (int i = 0; i < 36; ++i) labels.push_back(i % 3);
  return labels;
}

std::map<int, int> CountByClass(const std::vector<int32_t>& rows) {
  std::map<int, int> counts;
  for (const int32_t row : rows) ++counts[Labels()[row]];
  return counts;
}

TEST(SplitTest, TakesEverythingByDefault) {
  ASSERT_OK_AND_ASSIGN(const Split split, SplitTrainingPart(Labels(), 3, {}));

  EXPECT_THAT(split.training, SizeIs(36));
  EXPECT_THAT(split.validation, IsEmpty());
}

TEST(SplitTest, TakesTheFirstExamplesOfEachClass) {
  ASSERT_OK_AND_ASSIGN(const Split split,
                       SplitTrainingPart(Labels(), 3, {.train_examples = 6}));

  EXPECT_THAT(split.training, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(SplitTest, HoldsOutTheSameNumberOfEveryClass) {
  ASSERT_OK_AND_ASSIGN(
      const Split split,
      SplitTrainingPart(Labels(), 3,
                        {.validation_examples = 9, .train_examples = 30}));

  EXPECT_EQ(CountByClass(split.validation),
            (std::map<int, int>{{0, 3}, {1, 3}, {2, 3}}));
  EXPECT_EQ(CountByClass(split.training),
            (std::map<int, int>{{0, 7}, {1, 7}, {2, 7}}));
  std::set<int32_t> all(split.training.begin(), split.training.end());
  all.insert(split.validation.begin(), split.validation.end());
  EXPECT_EQ(all.size(), 30u);
  EXPECT_EQ(*all.rbegin(), 29);
  EXPECT_TRUE(std::is_sorted(split.training.begin(), split.training.end()));
}

TEST(SplitTest, DependsOnTheSplitSeed) {
  const auto validation = [](int64_t seed) {
    return SplitTrainingPart(Labels(), 3,
                             {.validation_examples = 9, .split_seed = seed})
        ->validation;
  };

  EXPECT_EQ(validation(1), validation(1));
  EXPECT_NE(validation(1), validation(2));
  EXPECT_NE(validation(-1), validation(1));
}

TEST(SplitTest, RefusesWhatCannotBe) {
  const auto split = [](const SplitOptions& options) {
    return SplitTrainingPart(Labels(), 3, options).status();
  };

  EXPECT_THAT(
      split({.validation_examples = 10}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "validation_examples: must be 0 or a multiple of the 3"));
  EXPECT_THAT(split({.validation_examples = -3}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(split({.validation_examples = 36}),
              StatusIs(absl::StatusCode::kInvalidArgument, "at least one"));
  EXPECT_THAT(split({.train_examples = 39}),
              StatusIs(absl::StatusCode::kInvalidArgument, "class 0 has 12"));
  EXPECT_THAT(
      split({.validation_examples = 6, .train_examples = 6}),
      StatusIs(absl::StatusCode::kInvalidArgument, "validation_examples"));
}

TEST(EpochOrderTest, IsAPermutation) {
  std::vector<int32_t> order = EpochOrder(42, 1, 1000);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));

  std::sort(order.begin(), order.end());

  for (int32_t i = 0; i < 1000; ++i) ASSERT_EQ(order[i], i);
}

TEST(EpochOrderTest, IsAPureFunctionOfSeedAndEpoch) {
  EXPECT_EQ(EpochOrder(42, 3, 100), EpochOrder(42, 3, 100));
  EXPECT_NE(EpochOrder(42, 3, 100), EpochOrder(42, 4, 100));
  EXPECT_NE(EpochOrder(42, 3, 100), EpochOrder(43, 3, 100));
  EXPECT_THAT(EpochOrder(1, 1, 1), ElementsAre(0));
}

TEST(EpochOrderTest, StaysWhatStoredRunsWereTrainedWith) {
  EXPECT_THAT(EpochOrder(42, 1, 10), ElementsAre(5, 2, 9, 8, 1, 3, 0, 6, 7, 4));
}

// Two examples of CIFAR's shape.
Examples TwoImages() {
  const DatasetInfo& info = *FindDatasetInfo("cifar10");
  auto raw = std::make_shared<RawExamples>();
  raw->pixels.resize(2 * 3 * 32 * 32);
  std::iota(raw->pixels.begin(), raw->pixels.end(), 0);
  raw->labels = {7, 4};
  return Examples(info, std::move(raw));
}

TEST(BatchReaderTest, NormalizesEachChannel) {
  const Examples examples = TwoImages();
  BatchReader reader(examples, 2);

  const Batch batch = reader.Read({1, 0});

  EXPECT_THAT(batch.images.sizes(), ElementsAre(2, 3, 32, 32));
  EXPECT_EQ(batch.labels[0].item<int64_t>(), 4);
  EXPECT_EQ(batch.labels[1].item<int64_t>(), 7);
  const DatasetInfo& info = examples.info();
  for (int channel = 0; channel < 3; ++channel) {
    // Row 1 begins at byte 3072, which is 0 again; so does each channel.
    for (const int pixel : {0, 1, 100, 255}) {
      const double expected = (pixel / 255.0 - info.mean[channel]) /
                              info.standard_deviation[channel];
      const float found =
          batch.images[0][channel][pixel / 32][pixel % 32].item<float>();
      EXPECT_NEAR(found, expected, 4e-7) << channel << " " << pixel;
    }
  }
}

TEST(BatchReaderTest, GivesAShortLastBatch) {
  const Examples examples = TwoImages();
  BatchReader reader(examples, 2);

  const Batch batch = reader.Read({1});

  EXPECT_THAT(batch.images.sizes(), ElementsAre(1, 3, 32, 32));
  EXPECT_THAT(batch.labels.sizes(), ElementsAre(1));
  EXPECT_TRUE(batch.images.is_contiguous());
}

TEST(DatasetReaderTest, GivesMnistMeanZeroAndDeviationOne) {
  DatasetReader reader({SourceFolder() + "/examples/data"});
  ASSERT_OK_AND_ASSIGN(
      const TrainingData data,
      reader.ReadTraining(
          {.name = "mnist", .split = {.validation_examples = 5000}}));
  EXPECT_EQ(data.training.size(), 55000);
  EXPECT_EQ(data.validation.size(), 5000);

  BatchReader batches(data.training, 10000);
  const at::Tensor images =
      batches.Read(EpochOrder(1, 1, 10000)).images.to(at::kDouble);

  EXPECT_NEAR(images.mean().item<double>(), 0, 0.02);
  EXPECT_NEAR(images.std().item<double>(), 1, 0.02);
}

TEST(DatasetReaderTest, ReadsTheTestSet) {
  DatasetReader reader({SourceFolder() + "/examples/data"});

  ASSERT_OK_AND_ASSIGN(const Examples test, reader.ReadTest({.name = "mnist"}));

  EXPECT_EQ(test.size(), 10000);
}

TEST(DatasetReaderTest, NamesWhatItDoesNotKnowOrHave) {
  DatasetReader reader({"/nowhere"});

  EXPECT_THAT(
      reader.ReadTest({.name = "imagenet"}),
      StatusIs(absl::StatusCode::kNotFound, "mnist, fashion_mnist, cifar10"));
  EXPECT_THAT(reader.ReadTraining({.name = "mnist"}),
              StatusIs(absl::StatusCode::kNotFound, "/nowhere/mnist"));
}

}  // namespace
}  // namespace headstart::worker
