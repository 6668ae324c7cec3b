#include "worker/trainer/loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

namespace headstart::worker {
namespace {

const at::Tensor kLogits = at::tensor({2., 1., -1., 0., 3., 0.5}).view({2, 3});

// -log of the softmax at a row and a class.
double Nats(int64_t row, int64_t label) {
  return -at::log_softmax(kLogits, 1)[row][label].item<double>();
}

Batch TwoExamples() {
  return {.images = {}, .labels = at::tensor({0, 2}, at::kLong)};
}

double Loss(const Batch& batch, const LossOptions& options,
            const at::Tensor& auxiliary = {}) {
  return TrainingLoss({kLogits, auxiliary}, batch, options).item<double>();
}

TEST(TrainingLossTest, IsTheMeanCrossEntropy) {
  EXPECT_NEAR(Loss(TwoExamples(), {}), (Nats(0, 0) + Nats(1, 2)) / 2, 1e-6);
}

TEST(TrainingLossTest, SpreadsAShareOfTheLabelOverAllClasses) {
  double expected = 0;
  for (int64_t row = 0; row < 2; ++row) {
    double even = 0;
    for (int64_t label = 0; label < 3; ++label) even += Nats(row, label) / 3;
    expected += 0.7 * Nats(row, row == 0 ? 0 : 2) + 0.3 * even;
  }

  EXPECT_NEAR(Loss(TwoExamples(), {.label_smoothing = 0.3}), expected / 2,
              1e-6);
}

TEST(TrainingLossTest, WeighsBothLabelsAfterMixup) {
  Batch batch = TwoExamples();
  batch.mixed_labels = at::tensor({1, 1}, at::kLong);
  batch.mix_weight = 0.25;

  EXPECT_NEAR(
      Loss(batch, {}),
      (0.25 * (Nats(0, 0) + Nats(1, 2)) + 0.75 * (Nats(0, 1) + Nats(1, 1))) / 2,
      1e-6);
}

TEST(TrainingLossTest, AddsTheAuxiliaryHeadWithItsWeight) {
  const at::Tensor undecided = at::zeros({2, 3});

  EXPECT_NEAR(Loss(TwoExamples(), {.auxiliary_weight = 0.4}, undecided),
              (Nats(0, 0) + Nats(1, 2)) / 2 + 0.4 * std::log(3), 1e-6);
}

TEST(CountCorrectTest, CountsByTheWeightOfTheLabelThatWasMet) {
  Batch batch = {.images = {}, .labels = at::tensor({0, 0}, at::kLong)};
  EXPECT_EQ(CountCorrect(kLogits, batch), 1);

  batch.mixed_labels = at::tensor({2, 1}, at::kLong);
  batch.mix_weight = 0.75;
  EXPECT_EQ(CountCorrect(kLogits, batch), 0.75 * 1 + 0.25 * 1);
}

TEST(GradientNormTest, GoesOverAllTensorsThatHaveAGradient) {
  std::vector<at::Tensor> parameters = {at::zeros({2, 2}), at::zeros({3}),
                                        at::zeros({5})};
  parameters[0].mutable_grad() = at::ones({2, 2});
  parameters[1].mutable_grad() = at::tensor({0., 0., 12.});

  EXPECT_DOUBLE_EQ(GradientNorm(parameters), std::sqrt(4 + 144));
}

TEST(ClipFactorTest, ScalesOnlyWhatIsLonger) {
  EXPECT_EQ(ClipFactor(0.5, 1), 1);
  EXPECT_EQ(ClipFactor(1e9, 0), 1);
  EXPECT_DOUBLE_EQ(ClipFactor(4, 1), 1 / (4 + 1e-6));
}

TEST(RowsTest, ShareTheBatch) {
  Batch batch = TwoExamples();
  batch.images = at::ones({2, 1, 4, 4});

  const Batch second = Rows(batch, 1, 2);

  EXPECT_EQ(second.labels.item<int64_t>(), 2);
  EXPECT_EQ(second.images.size(0), 1);
  EXPECT_FALSE(second.mixed_labels.defined());
  EXPECT_TRUE(second.images.is_alias_of(batch.images));
}

}  // namespace
}  // namespace headstart::worker
