#include "worker/measurement/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "worker/datasets/dataset.h"
#include "worker/datasets/memory_images.h"
#include "worker/models/model.h"

namespace headstart::worker {
namespace {

// `count` examples of MNIST's shape; example i has label i % 10 and that digit
// in its first pixel.
Examples MakeExamples(int64_t count) {
  std::vector<uint8_t> pixels(count * 28 * 28);
  Rows rows;
  for (int64_t i = 0; i < count; ++i) {
    rows.rows.push_back(i);
    rows.labels.push_back(i % 10);
    pixels[i * 28 * 28] = i % 10;
  }
  return Examples({.channels = 1,
                   .height = 28,
                   .width = 28,
                   .classes = 10,
                   .mean = {0.1307},
                   .standard_deviation = {0.3081}},
                  std::make_shared<MemoryImages>(1, 28, 28, std::move(pixels)),
                  std::move(rows));
}

// Knows the digit from the first pixel; says 0 for 9.
class FirstPixel final : public Model {
 public:
  at::Tensor forward(const at::Tensor& images) override {
    EXPECT_FALSE(is_training());
    EXPECT_FALSE(images.requires_grad());
    ++batches;
    at::Tensor logits = at::zeros({images.size(0), 10});
    for (int64_t i = 0; i < images.size(0); ++i) {
      const double pixel = images[i][0][0][0].item<float>() * 0.3081 + 0.1307;
      const int digit = std::lround(pixel * 255);
      logits[i][digit == 9 ? 0 : digit] = 2.0;
    }
    return logits;
  }

  int batches = 0;
};

TEST(EvaluationTest, IsTheMeanOverAllExamples) {
  FirstPixel model;
  model.train();

  const std::optional<Evaluation> evaluation = Evaluate(
      model, MakeExamples(1030), Precision::kFp32, [] { return false; });

  ASSERT_TRUE(evaluation.has_value());
  EXPECT_DOUBLE_EQ(evaluation->accuracy, 0.9);
  const double all = std::log(9 + std::exp(2.0));
  EXPECT_NEAR(evaluation->loss, 0.9 * (all - 2) + 0.1 * all, 1e-12);
  EXPECT_FALSE(model.is_training());
}

TEST(EvaluationTest, EndsWhenCancelled) {
  FirstPixel model;
  int asked = 0;

  const std::optional<Evaluation> evaluation =
      Evaluate(model, MakeExamples(2000), Precision::kFp32,
               [&] { return ++asked == 3; });

  EXPECT_FALSE(evaluation.has_value());
  EXPECT_EQ(model.batches, 2);
}

TEST(CountCorrectTest, TakesTheFirstOfEquals) {
  const at::Tensor logits =
      at::tensor({1.f, 1.f, 0.f, 0.f, 2.f, 2.f}).reshape({2, 3});

  EXPECT_EQ(CountCorrect(logits, at::tensor({0, 2}, at::kLong)), 1);
  EXPECT_EQ(CountCorrect(logits, at::tensor({0, 1}, at::kLong)), 2);
}

}  // namespace
}  // namespace headstart::worker
