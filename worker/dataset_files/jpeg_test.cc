// Decoding and resizing against Pillow (tests/oracles/images), and against
// damage.
#include "worker/dataset_files/jpeg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

#include "base/file.h"
#include "base/random_stream.h"
#include "tests/support/process.h"
#include "tests/support/status_matchers.h"
#include "worker/dataset_files/resize.h"

namespace headstart::worker {
namespace {

using ::testing::AnyOf;
using ::testing::Each;

std::string OraclePath(const std::string& name) {
  return absl::StrCat(SourceFolder(), "/tests/oracles/images/", name);
}

std::string OracleBytes(const std::string& name) {
  return ReadFile(OraclePath(name)).value();
}

TEST(JpegTest, GivesTheBytesThatPillowGives) {
  const auto expected = nlohmann::json::parse(OracleBytes("expected.json"));
  ASSERT_GT(expected.size(), 10u);
  for (const auto& each : expected) {
    ASSERT_OK_AND_ASSIGN(const Image image,
                         ReadJpegFile(OraclePath(each["file"])));
    ASSERT_EQ(image.channels, 3);
    const int64_t height = each["height"];
    const int64_t width = each["width"];
    std::vector<uint8_t> pixels = image.pixels;
    if (each["resized"]) {
      CropBox box = {.height = image.height, .width = image.width};
      if (!each["box"].is_null()) {
        const std::vector<int64_t> corners = each["box"];
        box = {.top = corners[1],
               .left = corners[0],
               .height = corners[3] - corners[1],
               .width = corners[2] - corners[0]};
      }
      pixels.resize(3 * height * width);
      ResizeBox(image, box, height, width, absl::MakeSpan(pixels));
    } else {
      EXPECT_EQ(image.height, height);
      EXPECT_EQ(image.width, width);
    }

    EXPECT_EQ(crc32(0, pixels.data(), pixels.size()),
              each["crc32"].get<uint32_t>())
        << each;
  }
}

TEST(JpegTest, GivesGreyscaleThreeEqualChannels) {
  ASSERT_OK_AND_ASSIGN(const Image image, ReadJpegFile(OraclePath("grey.jpg")));

  ASSERT_EQ(image.channels, 3);
  const int64_t plane = image.height * image.width;
  const auto begin = image.pixels.begin();
  const std::vector<uint8_t> red(begin, begin + plane);
  EXPECT_EQ(std::vector<uint8_t>(begin + plane, begin + 2 * plane), red);
  EXPECT_EQ(std::vector<uint8_t>(begin + 2 * plane, begin + 3 * plane), red);
}

TEST(JpegTest, SaysWhatItCannotRead) {
  EXPECT_THAT(ReadJpegFile(OraclePath("cmyk.jpg")),
              StatusIs(absl::StatusCode::kDataLoss,
                       "cmyk.jpg: a JPEG image of 4 channels"));
  EXPECT_THAT(
      DecodeJpeg("\x89PNG\r\n\x1a\n"),
      StatusIs(absl::StatusCode::kDataLoss, "not a whole JPEG image (libjpeg"));
  EXPECT_THAT(DecodeJpeg(""), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ReadJpegFile("/nowhere/a.jpg"),
              StatusIs(absl::StatusCode::kNotFound, "/nowhere/a.jpg"));
}

// Height and width as the frame header has them.
std::string WithSize(std::string jpeg, uint16_t height, uint16_t width) {
  const size_t frame = jpeg.find("\xff\xc0");
  EXPECT_NE(frame, std::string::npos);
  jpeg[frame + 5] = static_cast<char>(height >> 8);
  jpeg[frame + 6] = static_cast<char>(height);
  jpeg[frame + 7] = static_cast<char>(width >> 8);
  jpeg[frame + 8] = static_cast<char>(width);
  return jpeg;
}

TEST(JpegTest, TakesNoMemoryForASizeThatIsTooLarge) {
  EXPECT_THAT(DecodeJpeg(WithSize(OracleBytes("photo.jpg"), 65500, 65500)),
              StatusIs(absl::StatusCode::kDataLoss,
                       "65500x65500 pixels; 100000000 at most"));
}

TEST(JpegTest, RefusesAnImageCutShortAnywhere) {
  for (const char* name : {"photo.jpg", "wide.jpg", "grey.jpg"}) {
    const std::string whole = OracleBytes(name);
    ASSERT_OK(DecodeJpeg(whole));
    // Without the last two bytes, the end marker, all pixels are there.
    for (size_t size = 0; size + 2 < whole.size(); ++size) {
      // A copy, so that the address sanitizer sees a read beyond it.
      const std::vector<char> cut(whole.begin(), whole.begin() + size);
      EXPECT_THAT(DecodeJpeg(absl::string_view(cut.data(), cut.size())),
                  StatusIs(absl::StatusCode::kDataLoss))
          << name << " " << size;
    }
  }
}

TEST(JpegTest, ReadsOrRefusesWhateverIsChanged) {
  RandomStream random(20260102);
  int refused = 0;
  for (const char* name : {"photo.jpg", "wide.jpg", "fine.jpg", "grey.jpg"}) {
    const std::string whole = OracleBytes(name);
    for (int i = 0; i < 1000; ++i) {
      std::vector<char> changed(whole.begin(), whole.end());
      for (int64_t left = 1 + random.UniformInt(4); left > 0; --left) {
        // Half of the changes in the headers, where they matter most.
        const int64_t end = random.UniformInt(2) == 0 ? 700 : whole.size();
        changed[random.UniformInt(end)] ^= 1 << random.UniformInt(8);
      }
      const absl::StatusOr<Image> image =
          DecodeJpeg(absl::string_view(changed.data(), changed.size()));
      if (image.ok()) {
        EXPECT_EQ(static_cast<int64_t>(image->pixels.size()),
                  3 * image->height * image->width);
        continue;
      }
      ++refused;
      EXPECT_EQ(image.status().code(), absl::StatusCode::kDataLoss);
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 4000);
}

TEST(ResizeTest, KeepsAnImageOfTheSameSize) {
  ASSERT_OK_AND_ASSIGN(const Image image, ReadJpegFile(OraclePath("fine.jpg")));
  std::vector<uint8_t> pixels(image.pixels.size());

  Resize(image, image.height, image.width, absl::MakeSpan(pixels));

  EXPECT_EQ(pixels, image.pixels);
}

TEST(ResizeTest, KeepsOneColour) {
  const Image image = {.channels = 1,
                       .height = 5,
                       .width = 9,
                       .pixels = std::vector<uint8_t>(45, 201)};
  for (const int64_t side : {1, 3, 8, 30}) {
    std::vector<uint8_t> pixels(side * side);

    Resize(image, side, side, absl::MakeSpan(pixels));

    EXPECT_THAT(pixels, Each(201));
  }
}

}  // namespace
}  // namespace headstart::worker
