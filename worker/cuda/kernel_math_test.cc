// The kernels' bodies, index by index, against what the CPU does.
#include "worker/cuda/kernel_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include <c10/util/BFloat16.h>

#include "base/random_stream.h"
#include "worker/cuda/fake_device.h"
#include "worker/datasets/dataset.h"
#include "worker/datasets/memory_images.h"
#include "worker/training/step_kernels.h"

namespace headstart::worker {
namespace {

constexpr int64_t kSeed = 5;
constexpr int64_t kBatch = 7;

Examples DrawExamples(int64_t channels) {
  constexpr int64_t kCount = 20, kHeight = 9, kWidth = 11;
  RandomStream stream(3);
  std::vector<uint8_t> pixels(kCount * channels * kHeight * kWidth);
  for (uint8_t& pixel : pixels) pixel = stream.UniformInt(256);
  Rows rows;
  for (int32_t i = 0; i < kCount; ++i) {
    rows.rows.push_back(i);
    rows.labels.push_back(i % 3);
  }
  InputInfo info = {
      .channels = channels, .height = kHeight, .width = kWidth, .classes = 3};
  for (int64_t c = 0; c < channels; ++c) {
    info.mean.push_back(0.4 + 0.03 * c);
    info.standard_deviation.push_back(0.2 + 0.01 * c);
  }
  return Examples(info,
                  std::make_shared<MemoryImages>(channels, kHeight, kWidth,
                                                 std::move(pixels)),
                  rows);
}

// What the kernel makes of batch 2 of epoch 4.
template <typename T>
std::vector<T> Assembled(const Examples& examples,
                         const AugmentationOptions& options,
                         const std::vector<int32_t>& which, ImageType type) {
  const InputInfo& info = examples.info();
  const BatchPlan plan = PlanBatch(examples, options, kSeed, 4, 2, which);
  std::vector<Pick> picks;
  for (size_t i = 0; i < which.size(); ++i) {
    picks.push_back({.example = which[i],
                     .partner = plan.partners.empty() ? -1 : plan.partners[i],
                     .plan = plan.images[i]});
  }
  StepNumbers numbers = {.pixels = examples.pixels(0),
                         .mix_weight = plan.mix_weight};
  const std::vector<Normalization> channels = MakeNormalization(info);
  std::vector<T> images(which.size() * examples.image_bytes());
  FakeDevice().Assemble({.numbers = &numbers,
                         .picks = picks.data(),
                         .channels = channels.data(),
                         .rows = static_cast<int64_t>(which.size()),
                         .channel_count = static_cast<int32_t>(info.channels),
                         .height = static_cast<int32_t>(info.height),
                         .width = static_cast<int32_t>(info.width),
                         .interleaved = IsInterleaved(info),
                         .type = type,
                         .images = images.data()});
  return images;
}

class AssembleTest : public ::testing::TestWithParam<int64_t> {};

TEST_P(AssembleTest, MakesTheImagesOfTheCpu) {
  const Examples examples = DrawExamples(GetParam());
  std::vector<int32_t> which(kBatch);
  std::iota(which.begin(), which.end(), 9);
  const std::vector<AugmentationOptions> all = {
      {},
      {.crop_padding = 3, .flip_probability = 0.5},
      {.crop_padding = 2, .flip_probability = 0.5, .cutout_size = 4},
      {.crop_padding = 1, .flip_probability = 0.5, .mixup_alpha = 0.3}};
  for (const AugmentationOptions& options : all) {
    BatchReader reader(examples, options, kSeed, kBatch);
    const Batch batch = reader.ReadAugmented(4, 2, which).value();
    const float* want = batch.images.const_data_ptr<float>();

    const auto floats =
        Assembled<float>(examples, options, which, ImageType::kFloat);
    const auto halves =
        Assembled<uint16_t>(examples, options, which, ImageType::kBf16);

    EXPECT_EQ(std::memcmp(floats.data(), want, floats.size() * sizeof(float)),
              0);
    for (size_t i = 0; i < halves.size(); ++i) {
      ASSERT_EQ(halves[i], c10::BFloat16(want[i]).x) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Channels, AssembleTest, ::testing::Values(1, 2, 3));

TEST(ToBf16Test, RoundsToTheNearestEven) {
  RandomStream stream(1);
  for (int i = 0; i < 10'000; ++i) {
    const auto value = static_cast<float>(
        std::ldexp(stream.Uniform() - 0.5, stream.UniformInt(60) - 30));
    EXPECT_EQ(ToBf16(value), c10::BFloat16(value).x) << value;
  }
  EXPECT_EQ(ToBf16(1 + std::ldexp(1.0f, -8)), 0x3f80);      // A tie, down.
  EXPECT_EQ(ToBf16(1 + 3 * std::ldexp(1.0f, -8)), 0x3f82);  // A tie, up.
}

template <typename T>
class UpdateTest : public ::testing::Test {};
using NumberTypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(UpdateTest, NumberTypes);

TYPED_TEST(UpdateTest, DoesTheStepsOfTheCpu) {
  using T = TypeParam;
  constexpr int64_t kCount = 1'000;
  RandomStream stream(2);
  std::vector<T> gradient(kCount), weight(kCount), first(kCount),
      second(kCount);
  for (int64_t i = 0; i < kCount; ++i) {
    gradient[i] = stream.Uniform() - 0.5;
    weight[i] = stream.Uniform() - 0.5;
    first[i] = stream.Uniform() - 0.5;
    second[i] = stream.Uniform();
  }
  const SgdTerms<double> sgd = {.rate = 0.1,
                                .momentum = 0.9,
                                .weight_decay = 5e-4,
                                .gradient_scale = 0.7};
  SgdTerms<double> nesterov = sgd;
  nesterov.nesterov = true;
  const AdamTerms<double> adam = {.rate = 1e-3,
                                  .inverse_root = 1.3,
                                  .one_minus_beta1 = 0.1,
                                  .beta2 = 0.999,
                                  .one_minus_beta2 = 0.001,
                                  .epsilon = 1e-8,
                                  .added_decay = 1e-2,
                                  .kept = 0.99,
                                  .gradient_scale = 0.7};
  StepNumbers numbers = {};
  numbers.sgd[1] = sgd;
  numbers.sgd[2] = nesterov;
  numbers.adam[3] = adam;
  const double scale = 0.7;

  for (int group = 0; group <= 3; ++group) {
    const bool has_first = group > 0;
    if (group == 0) numbers.sgd[0] = sgd;  // Without momentum's memory.
    auto want_weight = weight, want_first = first, want_second = second;
    const StepRun<T> run = {
        .count = kCount,
        .gradient = gradient.data(),
        .weight = want_weight.data(),
        .first = has_first ? want_first.data() : nullptr,
        .second = group == 3 ? want_second.data() : nullptr,
        .weight_out = want_weight.data(),
        .first_out = has_first ? want_first.data() : nullptr,
        .second_out = group == 3 ? want_second.data() : nullptr};
    if (group == 3) {
      StepKernel(Rounded<T>(adam), run, StepWrite::kCached);
    } else {
      StepKernel(Rounded<T>(numbers.sgd[group]), run, StepWrite::kCached);
    }

    auto got_weight = weight, got_first = first, got_second = second;
    const StepTensor tensor = {.gradient = gradient.data(),
                               .weight = got_weight.data(),
                               .first = has_first ? got_first.data() : nullptr,
                               .second = got_second.data(),
                               .count = kCount,
                               .group = group};
    FakeDevice().Update({.numbers = &numbers,
                         .gradient_scale = &scale,
                         .rule = group == 3 ? StepRule::kAdam : StepRule::kSgd,
                         .is_double = std::is_same_v<T, double>},
                        {&tensor, 1});

    const int64_t bytes = kCount * sizeof(T);
    EXPECT_EQ(std::memcmp(got_weight.data(), want_weight.data(), bytes), 0);
    EXPECT_EQ(std::memcmp(got_first.data(), want_first.data(), bytes), 0);
    EXPECT_EQ(std::memcmp(got_second.data(), want_second.data(), bytes), 0);
    EXPECT_NE(std::memcmp(got_weight.data(), weight.data(), bytes), 0);
  }
}

TEST(CountTest, CountsRowsAndLeavesOutThoseThatOnlyFill) {
  const float logits[] = {1, 3, 3, /**/ 2, 0, 1, /**/ 0, 0, 5};
  const int64_t labels[] = {1, 2, 2};  // The first of equals counts.
  StepNumbers numbers = {.mix_weight = 1, .counted = 2};
  Sums sums = {0, 0};
  CountArguments of = {.numbers = &numbers,
                       .logits = logits,
                       .labels = labels,
                       .rows = 3,
                       .classes = 3,
                       .sums = &sums};

  FakeDevice().Count(of);

  EXPECT_EQ(sums.correct, 1);
  const double first = std::log(std::exp(1) + 2 * std::exp(3)) - 3;
  const double other = std::log(std::exp(2) + 1 + std::exp(1)) - 1;
  EXPECT_NEAR(sums.loss, first + other, 1e-12);

  const float loss = 0.5;
  const int64_t mixed[] = {0, 0, 0};
  of.loss = &loss;
  of.loss_weight = 3;
  of.mixed_labels = mixed;
  numbers.mix_weight = 0.75;
  sums = {10, 20};
  FakeDevice().Count(of);
  EXPECT_EQ(sums.loss, 11.5);
  EXPECT_EQ(sums.correct, 20 + 2 * 0.75 + 0.25);
}

}  // namespace
}  // namespace headstart::worker
