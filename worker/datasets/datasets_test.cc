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
#include "worker/datasets/memory_images.h"
#include "worker/datasets/registry.h"
#include "worker/datasets/split.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Two examples of CIFAR's shape.
Examples TwoImages() {
  std::vector<uint8_t> pixels(2 * 3 * 32 * 32);
  std::iota(pixels.begin(), pixels.end(), 0);
  return Examples({.channels = 3,
                   .height = 32,
                   .width = 32,
                   .classes = 10,
                   .mean = {0.4914, 0.4822, 0.4465},
                   .standard_deviation = {0.2470, 0.2435, 0.2616}},
                  std::make_shared<MemoryImages>(3, 32, 32, std::move(pixels)),
                  {.rows = {0, 1}, .labels = {7, 4}});
}

TEST(BatchReaderTest, NormalizesEachChannel) {
  const Examples examples = TwoImages();
  BatchReader reader(examples, 2);

  const Batch batch = reader.Read({1, 0});

  EXPECT_THAT(batch.images.sizes(), ElementsAre(2, 3, 32, 32));
  EXPECT_EQ(batch.labels[0].item<int64_t>(), 4);
  EXPECT_EQ(batch.labels[1].item<int64_t>(), 7);
  const InputInfo& info = examples.info();
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
          {.name = "mnist", .split = {.validation_examples = 5000}}, 1));
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

TEST(DatasetReaderTest, NormalizesAsTheSpecSays) {
  DatasetReader reader({SourceFolder() + "/examples/data"});
  DatasetSpec spec = {
      .name = "mnist",
      .normalization = {.mean = {0.5}, .standard_deviation = {0.25}}};

  ASSERT_OK_AND_ASSIGN(const Examples test, reader.ReadTest(spec));

  EXPECT_EQ(InputTransform(test.info()), "pixel/255; mean 0.5; std 0.25");
  // The corner of every digit is black.
  EXPECT_NEAR(BatchReader(test, 1).Read({3}).images[0][0][0][0].item<float>(),
              -2, 1e-6);
  spec.normalization.mean = {0.5, 0.5, 0.5};
  EXPECT_THAT(reader.ReadTest(spec),
              StatusIs(absl::StatusCode::kInvalidArgument, "the 1 channels"));
  spec.normalization = {.mean = {0.5}, .standard_deviation = {0}};
  EXPECT_THAT(reader.ReadTraining(spec, 1),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "dataset.mnist: normalization.standard_deviation"));
}

TEST(DatasetReaderTest, NamesWhatItDoesNotKnowOrHave) {
  DatasetReader reader({"/nowhere"});

  EXPECT_THAT(
      reader.ReadTest({.name = "imagenet"}),
      StatusIs(absl::StatusCode::kNotFound, "mnist, fashion_mnist, cifar10"));
  EXPECT_THAT(reader.ReadTraining({.name = "mnist"}, 1),
              StatusIs(absl::StatusCode::kNotFound, "/nowhere/mnist"));
}

}  // namespace
}  // namespace headstart::worker
