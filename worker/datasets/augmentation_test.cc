#include "worker/datasets/augmentation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <vector>

#include "base/random_stream.h"
#include "tests/support/status_matchers.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;

constexpr int kDraws = 20'000;

RandomStream Example(int64_t i) { return RandomStream(7).Child("example", i); }

// Each of the counts is within 5 sigma of its share.
void ExpectUniform(const std::map<int64_t, int>& counts, int64_t kinds) {
  EXPECT_EQ(static_cast<int64_t>(counts.size()), kinds);
  const double mean = static_cast<double>(kDraws) / kinds;
  for (const auto& [value, count] : counts) {
    EXPECT_NEAR(count, mean, 5 * std::sqrt(mean)) << value;
  }
}

TEST(DrawPlanTest, DrawsNothingByDefault) {
  const ImagePlan plan = DrawPlan({}, 32, 32, Example(0));

  EXPECT_EQ(plan.top, 0);
  EXPECT_EQ(plan.left, 0);
  EXPECT_FALSE(plan.flip);
  EXPECT_EQ(plan.cut_bottom, 0);
}

TEST(DrawPlanTest, DrawsEveryCropAlikeAndFlipsTheShareAsked) {
  std::map<int64_t, int> tops, lefts, both;
  int flips = 0;
  for (int i = 0; i < kDraws; ++i) {
    const ImagePlan plan = DrawPlan(
        {.crop_padding = 2, .flip_probability = 0.3}, 32, 32, Example(i));
    ++tops[plan.top];
    ++lefts[plan.left];
    ++both[plan.top * 10 + plan.left];
    flips += plan.flip;
  }
  ExpectUniform(tops, 5);
  ExpectUniform(lefts, 5);
  ExpectUniform(both, 25);
  EXPECT_EQ(tops.begin()->first, -2);
  EXPECT_NEAR(flips, 0.3 * kDraws, 5 * std::sqrt(0.21 * kDraws));
}

TEST(DrawPlanTest, AlwaysFlipsWithProbabilityOne) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(DrawPlan({.flip_probability = 1}, 4, 4, Example(i)).flip);
  }
}

TEST(DrawPlanTest, CutsSquaresWhoseCentresAreAnyPixel) {
  std::map<int64_t, int> centres;
  for (int i = 0; i < kDraws; ++i) {
    const ImagePlan plan = DrawPlan({.cutout_size = 4}, 6, 6, Example(i));
    EXPECT_GE(plan.cut_top, 0);
    EXPECT_LE(plan.cut_bottom, 6);
    // The clipped square tells the row of its centre.
    const int64_t row =
        plan.cut_top > 0 ? plan.cut_top + 2 : plan.cut_bottom - 2;
    ++centres[row];
    EXPECT_EQ(plan.cut_bottom - plan.cut_top,
              std::min<int64_t>(row + 2, 6) - std::max<int64_t>(row - 2, 0));
  }
  ExpectUniform(centres, 6);
}

TEST(DrawPlanTest, OneKindDoesNotChangeAnother) {
  for (int i = 0; i < 100; ++i) {
    const ImagePlan all =
        DrawPlan({.crop_padding = 4, .flip_probability = 0.5, .cutout_size = 8},
                 32, 32, Example(i));
    const ImagePlan flip =
        DrawPlan({.flip_probability = 0.5}, 32, 32, Example(i));
    const ImagePlan crop = DrawPlan({.crop_padding = 4}, 32, 32, Example(i));

    EXPECT_EQ(all.flip, flip.flip);
    EXPECT_EQ(all.top, crop.top);
    EXPECT_EQ(all.left, crop.left);
  }
}

TEST(DrawCropBoxTest, DrawsAreaAndLogarithmOfRatioAlike) {
  // All of these fit, so that none is drawn again.
  const RandomResizedCrop options = {
      .min_scale = 0.1, .max_scale = 0.3, .min_ratio = 0.5, .max_ratio = 2};
  double scale_sum = 0;
  int wide = 0;
  int low = 0;
  for (int i = 0; i < kDraws; ++i) {
    const CropBox box = DrawCropBox(options, 300, 300, Example(i));
    ASSERT_GE(box.top, 0);
    ASSERT_GE(box.left, 0);
    ASSERT_LE(box.top + box.height, 300);
    ASSERT_LE(box.left + box.width, 300);
    const double scale = box.height * box.width / 90'000.0;
    const double ratio = static_cast<double>(box.width) / box.height;
    ASSERT_GT(scale, 0.098);
    ASSERT_LT(scale, 0.302);
    ASSERT_GT(ratio, 0.48);
    ASSERT_LT(ratio, 2.08);
    scale_sum += scale;
    wide += ratio > 1;
    low += 2 * box.top > 300 - box.height;
  }
  EXPECT_NEAR(scale_sum / kDraws, 0.2, 0.003);
  EXPECT_NEAR(wide, kDraws / 2, 400);
  EXPECT_NEAR(low, kDraws / 2, 400);
}

TEST(DrawCropBoxTest, TakesTheLargestCentredBoxWhereNoneFits) {
  const RandomResizedCrop options = {
      .min_scale = 1, .max_scale = 1, .min_ratio = 1, .max_ratio = 1};

  const CropBox box = DrawCropBox(options, 100, 300, Example(0));

  EXPECT_EQ(box.height, 100);
  EXPECT_EQ(box.width, 100);
  EXPECT_EQ(box.left, 100);
  EXPECT_EQ(box.top, 0);
  const CropBox pixel = DrawCropBox(options, 1, 1, Example(0));
  EXPECT_EQ(pixel.height, 1);
  EXPECT_EQ(pixel.width, 1);
}

TEST(DrawMixWeightTest, IsBetaDistributed) {
  for (const double alpha : {0.2, 1.0, 4.0}) {
    double sum = 0, squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double weight = DrawMixWeight(alpha, Example(i));
      ASSERT_GE(weight, 0);
      ASSERT_LE(weight, 1);
      sum += weight;
      squares += weight * weight;
    }
    const double mean = sum / kDraws;
    const double variance = squares / kDraws - mean * mean;
    EXPECT_NEAR(mean, 0.5, 0.015) << alpha;
    EXPECT_NEAR(variance, 1 / (4 * (2 * alpha + 1)), 0.006) << alpha;
  }
}

// [1, 2, 3] with mean 0 and deviation 1/255: values stay what pixels are.
constexpr std::array<Normalization, 1> kSame = {{{.scale = 1, .shift = 0}}};
constexpr std::array<uint8_t, 6> kTiny = {1, 2, 3, 4, 5, 6};

std::vector<float> Augmented(const ImagePlan& plan) {
  std::vector<float> out(6, -1);
  AugmentImage(kTiny.data(), 2, 3, plan, kSame, out.data());
  return out;
}

TEST(AugmentImageTest, CropsFlipsAndCutsByHand) {
  EXPECT_THAT(Augmented({}), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(Augmented({.flip = true}), ElementsAre(3, 2, 1, 6, 5, 4));
  EXPECT_THAT(Augmented({.top = 1}), ElementsAre(4, 5, 6, 0, 0, 0));
  EXPECT_THAT(Augmented({.left = -1}), ElementsAre(0, 1, 2, 0, 4, 5));
  EXPECT_THAT(Augmented({.top = -1, .left = 1, .flip = true}),
              ElementsAre(0, 0, 0, 0, 3, 2));
  EXPECT_THAT(Augmented({.cut_bottom = 1, .cut_left = 1, .cut_right = 3}),
              ElementsAre(1, 0, 0, 4, 5, 6));
  EXPECT_THAT(Augmented({.left = 5}), ElementsAre(0, 0, 0, 0, 0, 0));
}

TEST(AugmentImageTest, PadsBeforeAndCutsAfterItNormalizes) {
  const std::array<Normalization, 1> channel = {{{.scale = 2, .shift = -7}}};
  std::vector<float> out(6);

  AugmentImage(kTiny.data(), 2, 3,
               {.left = -1, .cut_bottom = 1, .cut_left = 2, .cut_right = 3},
               channel, out.data());

  EXPECT_THAT(out, ElementsAre(-7, -5, 0, -7, 1, 3));
}

// The loops against the function of one pixel, on every bit.
TEST(AugmentImageTest, IsAugmentPixelEverywhere) {
  constexpr int64_t kHeight = 19, kWidth = 37, kChannels = 3;
  constexpr int64_t kPlane = kHeight * kWidth;
  RandomStream random(1);
  std::vector<uint8_t> pixels(kChannels * kPlane);
  for (uint8_t& pixel : pixels) pixel = random.UniformInt(256);
  const std::vector<Normalization> channels = {
      {0.0171f, -2.1f}, {0.0175f, -2.03f}, {0.0174f, -1.8f}};
  for (int i = 0; i < 200; ++i) {
    const ImagePlan plan = DrawPlan(
        {.crop_padding = i % 7, .flip_probability = 0.5, .cutout_size = i % 12},
        kHeight, kWidth, Example(i));
    std::vector<float> out(kChannels * kPlane);
    std::vector<float> interleaved(kChannels * kPlane);

    AugmentImage(pixels.data(), kHeight, kWidth, plan, channels, out.data());
    AugmentImageInterleaved(pixels.data(), kHeight, kWidth, plan, channels,
                            interleaved.data());

    for (int64_t at = 0; at < kChannels * kPlane; ++at) {
      const int64_t c = at / kPlane;
      ASSERT_EQ(out[at], AugmentPixel(pixels.data() + c * kPlane, kHeight,
                                      kWidth, at % kPlane / kWidth, at % kWidth,
                                      plan, channels[c]))
          << i << " " << at;
      ASSERT_EQ(interleaved[at % kPlane * kChannels + c], out[at])
          << i << " " << at;
    }
  }
}

TEST(CheckAugmentationTest, NamesTheFieldThatCannotBe) {
  const auto check = [](const AugmentationOptions& options) {
    return CheckAugmentation(options, 28, 32);
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

  EXPECT_OK(check({.random_resized_crop = RandomResizedCrop{0.08, 1, 0.75, 4},
                   .crop_padding = 28,
                   .flip_probability = 1,
                   .cutout_size = 56,
                   .mixup_alpha = 0.2}));
  EXPECT_THAT(check({.crop_padding = 29}),
              StatusIs(kInvalid, "augmentation.crop_padding: must be from 0"));
  EXPECT_THAT(check({.flip_probability = 1.5}), StatusIs(kInvalid, "flip"));
  EXPECT_THAT(check({.cutout_size = -1}), StatusIs(kInvalid, "cutout_size"));
  EXPECT_THAT(check({.mixup_alpha = -1}), StatusIs(kInvalid, "mixup_alpha"));
  for (const RandomResizedCrop& crop :
       {RandomResizedCrop{0, 1, 1, 1}, RandomResizedCrop{0.5, 0.4, 1, 1},
        RandomResizedCrop{0.5, 1.1, 1, 1}, RandomResizedCrop{0.5, 1, 0, 1},
        RandomResizedCrop{0.5, 1, 2, 1}}) {
    EXPECT_THAT(check({.random_resized_crop = crop}),
                StatusIs(kInvalid, "augmentation.random_resized_crop."));
  }
}

}  // namespace
}  // namespace headstart::worker
