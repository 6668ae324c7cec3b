#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>

#include "absl/strings/str_split.h"

#include "base/random_stream.h"
#include "tests/support/process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
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
  EXPECT_TRUE(batch.images.is_contiguous(at::MemoryFormat::ChannelsLast));
}

// What one epoch gives each example, whatever the batches.
class AugmentedTest : public ::testing::Test {
 protected:
  static constexpr int32_t kCount = 24;
  static constexpr int64_t kSize = 16;

  AugmentedTest() {
    RandomStream random(1);
    std::vector<uint8_t> pixels(kCount * 3 * kSize * kSize);
    for (uint8_t& pixel : pixels) pixel = random.UniformInt(256);
    Rows rows;
    for (int32_t i = 0; i < kCount; ++i) {
      rows.rows.push_back(i);
      rows.labels.push_back(i % 3);
    }
    examples_.emplace(
        InputInfo{.channels = 3,
                  .height = kSize,
                  .width = kSize,
                  .classes = 3,
                  .mean = {0.5, 0.4, 0.3},
                  .standard_deviation = {0.2, 0.3, 0.4}},
        std::make_shared<MemoryImages>(3, kSize, kSize, std::move(pixels)),
        std::move(rows));
  }

  // By position.
  std::vector<at::Tensor> ReadEpoch(const AugmentationOptions& options,
                                    int64_t seed, int64_t epoch,
                                    int64_t batch_size, bool backwards) {
    std::vector<int32_t> order(kCount);
    std::iota(order.begin(), order.end(), 0);
    if (backwards) std::reverse(order.begin(), order.end());
    BatchReader reader(*examples_, options, seed, batch_size);
    std::vector<at::Tensor> images(kCount);
    for (int64_t at = 0; at < kCount; at += batch_size) {
      const auto which = absl::MakeConstSpan(order).subspan(at, batch_size);
      const Batch batch =
          reader.ReadAugmented(epoch, at / batch_size, which).value();
      for (size_t i = 0; i < which.size(); ++i) {
        EXPECT_EQ(batch.labels[i].item<int64_t>(), which[i] % 3);
        images[which[i]] = batch.images[i].clone();
      }
    }
    return images;
  }

  static bool Same(const std::vector<at::Tensor>& a,
                   const std::vector<at::Tensor>& b) {
    for (size_t i = 0; i < a.size(); ++i) {
      if (!a[i].equal(b[i])) return false;
    }
    return true;
  }

  static constexpr AugmentationOptions kAll = {
      .random_resized_crop = RandomResizedCrop{0.3, 1, 0.75, 1.33},
      .crop_padding = 2,
      .flip_probability = 0.5,
      .cutout_size = 4};

  std::optional<Examples> examples_;
};

TEST_F(AugmentedTest, IsTheSameWhateverTheBatchesAreAndWhoReadsThem) {
  const int threads = at::get_num_threads();
  const std::vector<at::Tensor> images = ReadEpoch(kAll, 5, 3, 7, false);

  EXPECT_TRUE(Same(images, ReadEpoch(kAll, 5, 3, 24, false)));
  EXPECT_TRUE(Same(images, ReadEpoch(kAll, 5, 3, 5, true)));
  at::set_num_threads(4);
  EXPECT_TRUE(Same(images, ReadEpoch(kAll, 5, 3, 24, false)));
  at::set_num_threads(threads);
  EXPECT_FALSE(Same(images, ReadEpoch(kAll, 5, 4, 7, false)));
  EXPECT_FALSE(Same(images, ReadEpoch(kAll, 6, 3, 7, false)));
}

TEST_F(AugmentedTest, LeavesImagesAloneWithoutOptions) {
  const std::vector<at::Tensor> images = ReadEpoch({}, 5, 3, 7, false);
  BatchReader plain(*examples_, 1);

  for (int32_t i = 0; i < kCount; ++i) {
    EXPECT_TRUE(images[i].equal(plain.Read({i}).images[0])) << i;
  }
}

TEST_F(AugmentedTest, MixesEachImageWithOneOther) {
  const AugmentationOptions options = {.flip_probability = 0.5,
                                       .mixup_alpha = 1};
  AugmentationOptions unmixed = options;
  unmixed.mixup_alpha = 0;
  const std::vector<at::Tensor> images = ReadEpoch(unmixed, 5, 1, 24, false);
  std::vector<int32_t> order(kCount);
  std::iota(order.begin(), order.end(), 0);
  BatchReader reader(*examples_, options, 5, kCount);
  ASSERT_OK_AND_ASSIGN(const Batch batch, reader.ReadAugmented(1, 0, order));

  ASSERT_GT(batch.mix_weight, 0);
  ASSERT_LT(batch.mix_weight, 1);
  std::set<int32_t> partners;
  const auto weight = static_cast<float>(batch.mix_weight);
  for (int32_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(batch.labels[i].item<int64_t>(), i % 3);
    for (int32_t other = 0; other < kCount; ++other) {
      const at::Tensor mixed =
          images[i] * weight + images[other] * (1 - weight);
      if (!mixed.allclose(batch.images[i], 1e-5, 1e-5)) continue;
      EXPECT_EQ(batch.mixed_labels[i].item<int64_t>(), other % 3);
      partners.insert(other);
    }
  }
  EXPECT_EQ(partners.size(), static_cast<size_t>(kCount));

  const double first = batch.mix_weight;
  EXPECT_EQ(reader.ReadAugmented(1, 0, order)->mix_weight, first);
  EXPECT_NE(reader.ReadAugmented(1, 1, order)->mix_weight, first);
  EXPECT_NE(reader.ReadAugmented(2, 0, order)->mix_weight, first);
}

TEST_F(AugmentedTest, IsNotMixedWithoutMixup) {
  BatchReader reader(*examples_, {.flip_probability = 0.5}, 5, 4);

  ASSERT_OK_AND_ASSIGN(const Batch batch, reader.ReadAugmented(1, 0, {0, 1}));

  EXPECT_FALSE(batch.mixed_labels.defined());
  EXPECT_EQ(batch.mix_weight, 1);
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
                       "dataset.mnist: normalization: each mean"));
}

TEST(DatasetReaderTest, MakesSyntheticExamples) {
  DatasetReader reader({});
  const DatasetSpec spec = {.name = "synthetic",
                            .split = {.validation_examples = 20},
                            .synthetic = {.train_examples = 100,
                                          .test_examples = 30,
                                          .channels = 1,
                                          .image_size = 12,
                                          .classes = 10}};

  ASSERT_OK_AND_ASSIGN(const TrainingData data, reader.ReadTraining(spec, 1));
  ASSERT_OK_AND_ASSIGN(const Examples test, reader.ReadTest(spec));

  EXPECT_EQ(data.training.size(), 80);
  EXPECT_EQ(data.validation.size(), 20);
  EXPECT_EQ(test.size(), 30);
  EXPECT_EQ(test.info().height, 12);
  DatasetSpec bad = spec;
  bad.synthetic.classes = 0;
  EXPECT_THAT(reader.ReadTraining(bad, 1),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "dataset.synthetic: classes: must be above 0"));
}

class ImageFolderTest : public ::testing::Test {
 protected:
  ImageFolderTest() {
    // Two classes; one of the images is grey.
    Copy("photo.jpg", "train/a/0.jpg");
    Copy("wide.jpg", "train/a/1.jpg");
    Copy("grey.jpg", "train/b/0.jpg");
    Copy("fine.jpg", "train/b/1.jpg");
    Copy("fine.jpg", "val/a/0.jpg");
  }

  void Copy(const std::string& from, const std::string& to) {
    const std::filesystem::path path = Path(to);
    std::filesystem::create_directories(path.parent_path());
    std::filesystem::copy_file(SourceFolder() + "/tests/oracles/images/" + from,
                               path);
  }

  std::string Path(const std::string& name) const {
    return temp_.path() + "/pets/" + name;
  }

  DatasetReader Reader() const { return DatasetReader({temp_.path()}); }

  const TempDir temp_;
  const DatasetSpec spec_ = {.name = "image_folder",
                             .split = {.validation_examples = 2},
                             .image_size = 16,
                             .folder = "pets"};
};

TEST_F(ImageFolderTest, IsReadAtTheSizeAsked) {
  DatasetReader reader = Reader();

  ASSERT_OK_AND_ASSIGN(const TrainingData data, reader.ReadTraining(spec_, 1));
  ASSERT_OK_AND_ASSIGN(const Examples test, reader.ReadTest(spec_));

  EXPECT_EQ(data.training.size(), 2);
  EXPECT_EQ(data.validation.size(), 2);
  EXPECT_EQ(data.training.info().classes, 2);
  EXPECT_THAT(BatchReader(data.training, 2).Read({0, 1}).images.sizes(),
              ElementsAre(2, 3, 16, 16));
  EXPECT_EQ(test.label(0), 0);
  EXPECT_EQ(InputTransform(test.info()),
            "pixel/255; resized to 16x16 bilinear with antialias; mean 0.485 "
            "0.456 0.406; std 0.229 0.224 0.225");
}

TEST_F(ImageFolderTest, GivesResizedCropsOfTheOriginals) {
  const AugmentationOptions options = {.random_resized_crop =
                                           RandomResizedCrop{0.1, 1, 0.5, 2}};
  DatasetReader reader = Reader();
  ASSERT_OK_AND_ASSIGN(const TrainingData data,
                       reader.ReadTraining(spec_, 1, options));
  BatchReader batches(data.training, options, 1, 2);

  ASSERT_OK_AND_ASSIGN(Batch batch, batches.ReadAugmented(1, 0, {0, 1}));
  const at::Tensor images = batch.images.clone();
  ASSERT_OK_AND_ASSIGN(batch, batches.ReadAugmented(2, 0, {0, 1}));
  EXPECT_FALSE(images.equal(batch.images));
  ASSERT_OK_AND_ASSIGN(batch, batches.ReadAugmented(1, 0, {0, 1}));
  EXPECT_TRUE(images.equal(batch.images));

  std::filesystem::remove_all(Path("train"));
  EXPECT_THAT(batches.ReadAugmented(1, 0, {0, 1}).status(),
              StatusIs(absl::StatusCode::kNotFound, "pets/train/a/"));
}

TEST_F(ImageFolderTest, MustFitTheSpec) {
  DatasetReader reader = Reader();
  DatasetSpec spec = spec_;
  spec.classes = 3;
  EXPECT_THAT(reader.ReadTraining(spec, 1),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "has 2 classes, but the spec says 3. Set classes to 2"));
  spec = spec_;
  spec.image_size = 5000;
  EXPECT_THAT(reader.ReadTraining(spec, 1),
              StatusIs(absl::StatusCode::kInvalidArgument, "image_size"));
  spec = spec_;
  spec.folder = "cars";
  EXPECT_THAT(reader.ReadTraining(spec, 1),
              StatusIs(absl::StatusCode::kNotFound, "cars"));
  std::filesystem::resize_file(Path("train/a/1.jpg"), 400);
  EXPECT_THAT(reader.ReadTraining(spec_, 1),
              StatusIs(absl::StatusCode::kDataLoss, "train/a/1.jpg"));
}

// Whole data sets, where someone has them: HEADSTART_DATASETS names folders, as
// for the programs.
class RealImagesTest : public ::testing::Test {
 protected:
  static std::vector<std::string> Roots() {
    const char* folders = std::getenv("HEADSTART_DATASETS");
    if (folders == nullptr) return {};
    return absl::StrSplit(folders, ':', absl::SkipEmpty());
  }

  // Reads and checks both parts, of `classes` or, if it has them, all classes.
  static void ExpectReadable(const std::string& name, int64_t classes,
                             int64_t image_size) {
    const DatasetInfo& info = *FindDatasetInfo(name);
    const absl::StatusOr<ImageList> list =
        ListImages(Roots(), info, "", DatasetPart::kTrain);
    if (absl::IsNotFound(list.status())) {
      GTEST_SKIP() << "HEADSTART_DATASETS names no folder with " << name;
    }
    ASSERT_OK(list);
    DatasetReader reader(Roots(), {.threads = 2});
    const DatasetSpec spec = {
        .name = name,
        .classes = static_cast<int64_t>(list->classes.size()),
        .image_size = image_size};

    ASSERT_OK_AND_ASSIGN(const TrainingData data, reader.ReadTraining(spec, 1));
    ASSERT_OK_AND_ASSIGN(const Examples test, reader.ReadTest(spec));

    EXPECT_GE(data.training.info().classes, classes);
    EXPECT_GT(test.size(), 0);
    // Statistics of the whole part, which a slice has nearly.
    BatchReader batches(data.training, data.training.size());
    std::vector<int32_t> all(data.training.size());
    std::iota(all.begin(), all.end(), 0);
    const at::Tensor images = batches.Read(all).images;
    EXPECT_NEAR(images.mean().item<double>(), 0, 0.5);
    EXPECT_NEAR(images.std().item<double>(), 1, 0.3);
  }
};

TEST_F(RealImagesTest, TinyImagenet) { ExpectReadable("tiny_imagenet", 10, 0); }

TEST_F(RealImagesTest, Food101) { ExpectReadable("food101", 5, 64); }

TEST(DatasetReaderTest, NamesWhatItDoesNotKnowOrHave) {
  DatasetReader reader({"/nowhere"});

  EXPECT_THAT(
      reader.ReadTest({.name = "imagenet"}),
      StatusIs(absl::StatusCode::kNotFound, "mnist, fashion_mnist, cifar10, "));
  EXPECT_THAT(reader.ReadTraining({.name = "mnist"}, 1),
              StatusIs(absl::StatusCode::kNotFound, "/nowhere/mnist"));
}

}  // namespace
}  // namespace headstart::worker
