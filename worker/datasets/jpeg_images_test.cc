#include "worker/datasets/jpeg_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/file.h"
#include "tests/support/process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "worker/dataset_files/jpeg.h"
#include "worker/dataset_files/resize.h"

namespace headstart::worker {
namespace {

namespace fs = std::filesystem;

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kHeight = 20;
constexpr int64_t kWidth = 24;
constexpr int64_t kImageBytes = 3 * kHeight * kWidth;

class JpegImagesTest : public ::testing::Test {
 protected:
  JpegImagesTest() {
    fs::create_directories(list_.folder);
    for (const char* name : {"photo.jpg", "wide.jpg", "fine.jpg", "grey.jpg"}) {
      fs::copy_file(
          absl::StrCat(SourceFolder(), "/tests/oracles/images/", name),
          absl::StrCat(list_.folder, "/", name));
      list_.paths.push_back(name);
      list_.labels.push_back(0);
    }
  }

  JpegImages Images(const std::string& cache_folder) {
    return JpegImages(list_, kHeight, kWidth,
                      {.cache_folder = cache_folder, .threads = 3});
  }

  static std::vector<uint8_t> Bytes(const JpegImages& images, int32_t row) {
    const uint8_t* begin = images.Pixels(row);
    return {begin, begin + kImageBytes};
  }

  std::vector<uint8_t> Expected(int32_t row) const {
    const Image image =
        ReadJpegFile(absl::StrCat(list_.folder, "/", list_.paths[row])).value();
    std::vector<uint8_t> pixels(kImageBytes);
    Resize(image, kHeight, kWidth, absl::MakeSpan(pixels));
    return pixels;
  }

  std::vector<std::string> CacheFiles() const {
    std::vector<std::string> files;
    if (!fs::exists(cache_)) return files;
    for (const auto& entry : fs::directory_iterator(cache_)) {
      files.push_back(entry.path().string());
    }
    return files;
  }

  void ExpectAllRight(const JpegImages& images) const {
    for (int32_t row = 0; row < 4; ++row) {
      EXPECT_EQ(Bytes(images, row), Expected(row)) << row;
    }
  }

  const std::vector<int32_t> all_ = {0, 1, 2, 3};
  const TempDir temp_;
  const std::string cache_ = absl::StrCat(temp_.path(), "/cache");
  ImageList list_ = {.folder = absl::StrCat(temp_.path(), "/set")};
};

TEST_F(JpegImagesTest, DecodesWhatIsAskedFor) {
  JpegImages images = Images("");

  ASSERT_OK(images.Prepare({2, 0}));
  EXPECT_EQ(Bytes(images, 2), Expected(2));
  ASSERT_OK(images.Prepare(all_));

  ExpectAllRight(images);
  ASSERT_OK_AND_ASSIGN(const Image original, images.Original(1));
  EXPECT_EQ(original.width, 130);
}

TEST_F(JpegImagesTest, KeepsAWholePartForTheNextProcess) {
  JpegImages first = Images(cache_);
  ASSERT_OK(first.Prepare(all_));
  ExpectAllRight(first);
  ASSERT_THAT(CacheFiles(), SizeIs(1));
  // What is read from now on does not come from the images.
  const std::vector<uint8_t> expected = Expected(3);
  std::string bytes = ReadFile(CacheFiles()[0]).value();
  const fs::file_time_type time =
      fs::last_write_time(list_.folder + "/grey.jpg");
  const std::string garbage(fs::file_size(list_.folder + "/grey.jpg"), 'x');
  std::ofstream(list_.folder + "/grey.jpg", std::ios::binary) << garbage;
  fs::last_write_time(list_.folder + "/grey.jpg", time);

  JpegImages second = Images(cache_);
  ASSERT_OK(second.Prepare(all_));

  EXPECT_EQ(Bytes(second, 3), expected);
  EXPECT_THAT(CacheFiles(), SizeIs(1));
}

TEST_F(JpegImagesTest, CachesNothingOfAPart) {
  JpegImages images = Images(cache_);

  ASSERT_OK(images.Prepare({1, 2, 3}));

  EXPECT_THAT(CacheFiles(), IsEmpty());
  ASSERT_OK(images.Prepare(all_));
  ExpectAllRight(images);
}

TEST_F(JpegImagesTest, NeverTrustsACacheFile) {
  ASSERT_OK(Images(cache_).Prepare(all_));
  const std::string path = CacheFiles().at(0);
  const std::string whole = ReadFile(path).value();
  // A changed byte anywhere, and a file cut short.
  std::vector<std::string> damaged;
  for (size_t at = 0; at < whole.size(); at += 97) {
    damaged.push_back(whole);
    damaged.back()[at] ^= 4;
  }
  damaged.push_back(whole.substr(0, whole.size() / 2));
  damaged.push_back("");
  for (const std::string& bytes : damaged) {
    std::ofstream(path, std::ios::binary) << bytes;

    JpegImages images = Images(cache_);
    ASSERT_OK(images.Prepare(all_));

    for (int32_t row = 0; row < 4; ++row) {
      ASSERT_EQ(Bytes(images, row), Expected(row));
    }
  }
}

TEST_F(JpegImagesTest, DecodesAnewWhatHasChanged) {
  ASSERT_OK(Images(cache_).Prepare(all_));
  fs::copy_file(list_.folder + "/wide.jpg", list_.folder + "/photo.jpg",
                fs::copy_options::overwrite_existing);

  JpegImages images = Images(cache_);
  ASSERT_OK(images.Prepare(all_));

  ExpectAllRight(images);
  EXPECT_EQ(Bytes(images, 0), Bytes(images, 1));
  EXPECT_THAT(CacheFiles(), SizeIs(2));
}

TEST_F(JpegImagesTest, WorksWhereTheCacheCannotBeWritten) {
  std::ofstream(cache_) << "a file where a folder belongs";
  JpegImages images = Images(cache_);

  ASSERT_OK(images.Prepare(all_));

  ExpectAllRight(images);
}

TEST_F(JpegImagesTest, NamesTheFirstImageThatIsDamaged) {
  for (const char* name : {"/fine.jpg", "/wide.jpg"}) {
    fs::resize_file(list_.folder + name, 500);
  }
  JpegImages images = Images(cache_);

  EXPECT_THAT(images.Prepare(all_),
              StatusIs(absl::StatusCode::kDataLoss, "/wide.jpg: not a whole"));

  EXPECT_THAT(CacheFiles(), IsEmpty());
  // The others can be had even so.
  ASSERT_OK(images.Prepare({0, 3}));
  EXPECT_EQ(Bytes(images, 3), Expected(3));
  fs::remove(list_.folder + "/wide.jpg");
  EXPECT_THAT(images.Original(1), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(JpegImagesTest, EndsWhenAskedTo) {
  JpegImages images(list_, kHeight, kWidth, {.cancelled = [] { return true; }});

  EXPECT_THAT(images.Prepare(all_), StatusIs(absl::StatusCode::kCancelled));
}

}  // namespace
}  // namespace headstart::worker
