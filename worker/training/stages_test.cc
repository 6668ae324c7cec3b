// Stages as Zaidi et al. 2022 define them, and numbers worked out by hand.
#include "worker/training/stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

namespace headstart::worker {
namespace {

using testing::ElementsAre;

TEST(StagesTest, EachStageGoesThroughTheScheduleOnce) {
  const StagedTraining stages = {.count = 3, .method = KeepWeights{}};
  std::vector<int64_t> stage, epoch, begins;
  for (int64_t e = 1; e <= 12; ++e) {
    const PhasePlace place = PlaceOf(stages, /*epochs=*/12, e);
    stage.push_back(place.phase);
    epoch.push_back(place.epoch);
    EXPECT_EQ(place.epochs, 4);
    if (place.begins) begins.push_back(e);
  }
  EXPECT_THAT(stage, ElementsAre(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2));
  EXPECT_THAT(epoch, ElementsAre(1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4));
  EXPECT_THAT(begins, ElementsAre(5, 9));
}

TEST(StagesTest, ASingleStageNeverBeginsAgain) {
  const StagedTraining stages = {.count = 1, .method = RedrawAll{}};
  for (int64_t e = 1; e <= 5; ++e) {
    const PhasePlace place = PlaceOf(stages, /*epochs=*/5, e);
    EXPECT_EQ(place.epoch, e);
    EXPECT_EQ(place.epochs, 5);
    EXPECT_FALSE(place.begins);
  }
}

// K = 5, M = 2: after stages 1 and 2 one group stays, after 3 and 4 two, ...,
// after 9 all five.
TEST(StagesTest, LayerWiseKeepsOneGroupMoreAfterEachRepeat) {
  std::vector<int64_t> kept;
  for (int64_t after = 1; after <= 9; ++after) {
    kept.push_back(GroupsKept({.groups = 5, .repeats = 2}, after + 1));
  }
  EXPECT_THAT(kept, ElementsAre(1, 1, 2, 2, 3, 3, 4, 4, 5));
  EXPECT_EQ(GroupsKept({.groups = 2, .repeats = 1}, 2), 1);
}

// ResNet-18's five blocks: the split of two groups lies between the second and
// the third residual group.
TEST(StagesTest, GroupsAreOfAlmostEqualSize) {
  EXPECT_EQ(BlocksKept(/*blocks=*/5, /*groups=*/2, /*kept=*/1), 3);
  EXPECT_EQ(BlocksKept(5, 2, 2), 5);
  for (int64_t k = 1; k <= 5; ++k) EXPECT_EQ(BlocksKept(5, 5, k), k);
  EXPECT_EQ(BlocksKept(4, 3, 1), 2);
  EXPECT_EQ(BlocksKept(4, 3, 2), 3);
}

TEST(StagesTest, ExamplesArriveInEqualParts) {
  EXPECT_EQ(ExamplesThere(/*examples=*/103, /*count=*/5, /*stage=*/0), 20);
  EXPECT_EQ(ExamplesThere(103, 5, 3), 82);
  EXPECT_EQ(ExamplesThere(103, 5, 4), 103);
}

TEST(StagesTest, MomentsMakeMeanZeroAndVarianceOne) {
  const at::Tensor output = at::randn({16, 3, 5, 5}, at::kDouble) * 4 + 7;
  const Moments by_channel =
      MomentsOf(output, LayerWiseNormalization::kChannels);
  ASSERT_EQ(by_channel.mean.numel(), 3);
  const at::Tensor normal = (output - by_channel.mean.view({1, 3, 1, 1})) /
                            by_channel.deviation.view({1, 3, 1, 1});
  for (int64_t c = 0; c < 3; ++c) {
    const at::Tensor channel = normal.select(1, c);
    EXPECT_NEAR(channel.mean().item<double>(), 0, 1e-12);
    EXPECT_NEAR(channel.var(/*unbiased=*/false).item<double>(), 1, 1e-5);
  }
  const Moments together = MomentsOf(output, LayerWiseNormalization::kTogether);
  ASSERT_EQ(together.mean.numel(), 1);
  EXPECT_NEAR(together.mean.item<double>(), output.mean().item<double>(),
              1e-12);
}

// The teacher comes first. The other direction would be 0.0920329.
TEST(DistillationLossTest, IsTheDivergenceOfTheStudentFromTheTeacher) {
  const at::Tensor teacher = at::tensor({.7, .2, .1}, at::kDouble).view({1, 3});
  const at::Tensor student = at::tensor({.5, .3, .2}, at::kDouble).view({1, 3});
  const at::Tensor logits = student.log() + 3;  // A shift changes nothing.
  EXPECT_NEAR(DistillationLoss(logits, teacher).item<double>(), 0.0851228,
              5e-8);
  const double cross_entropy = -std::log(0.5);
  for (const auto& [weight, total] :
       {std::pair(1., 0.7782700), std::pair(2., 0.8633928)}) {
    EXPECT_NEAR(cross_entropy +
                    weight * DistillationLoss(logits, teacher).item<double>(),
                total, 1e-7);
  }
  // The mean over the rows.
  EXPECT_NEAR(DistillationLoss(logits.repeat({4, 1}), teacher.repeat({4, 1}))
                  .item<double>(),
              0.0851228, 5e-8);
}

TEST(DistillationLossTest, ItsGradientIsStudentMinusTeacher) {
  const at::Tensor targets = at::softmax(at::randn({1, 5}, at::kDouble), 1);
  const at::Tensor logits = at::randn({1, 5}, at::kDouble).requires_grad_(true);
  DistillationLoss(logits, targets).backward();
  const at::Tensor expected = at::softmax(logits, 1) - targets;
  EXPECT_TRUE(logits.grad().allclose(expected, 0, 1e-12));

  constexpr double kStep = 1e-6;
  for (int64_t i = 0; i < 5; ++i) {
    const auto at_offset = [&](double by) {
      at::Tensor moved = logits.detach().clone();
      moved[0][i] += by;
      return DistillationLoss(moved, targets).item<double>();
    };
    const double slope = (at_offset(kStep) - at_offset(-kStep)) / (2 * kStep);
    EXPECT_NEAR(logits.grad()[0][i].item<double>(), slope, 1e-8);
  }
}

// A class of which the teacher is sure that it is not.
TEST(DistillationLossTest, ImpossibleClassesAddNothing) {
  const at::Tensor teacher = at::tensor({1., 0.}, at::kDouble).view({1, 2});
  const at::Tensor logits = at::tensor({0., 0.}, at::kDouble).view({1, 2});
  EXPECT_NEAR(DistillationLoss(logits, teacher).item<double>(), std::log(2),
              1e-12);
}

}  // namespace
}  // namespace headstart::worker
