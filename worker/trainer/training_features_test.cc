// What a spec can ask of the loop beyond plain steps, each by its effect on a
// whole training.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"
#include "worker/trainer/training_for_tests.h"

namespace headstart::worker {
namespace {

double Distance(const std::vector<double>& a, const std::vector<double>& b) {
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    squares += (a[i] - b[i]) * (a[i] - b[i]);
  }
  return std::sqrt(squares);
}

const Json kFixup = {
    {"model", {{"small_cnn", nullptr}, {"fixup_resnet20", Json::object()}}}};

TEST(AccumulationTest, MakesTheSameStepInParts) {
  // Without batch norm, which would see other batches.
  const Json fp64 = {{"precision", "FP64"}};
  Json whole = Spec(kFixup);
  whole.merge_patch(fp64);
  Json parts = whole;
  parts["accumulation_steps"] = 3;  // 2 + 3 + 3 of the 8 examples.
  MemoryHost at_once;
  MemoryHost in_parts;

  ASSERT_OK(RunOn(at_once, whole, 1));
  ASSERT_OK(RunOn(in_parts, parts, 1));

  const double moved = Distance(at_once.Weights(0), at_once.Weights(1));
  EXPECT_GT(moved, 0.01);
  EXPECT_LT(Distance(at_once.Weights(1), in_parts.Weights(1)), 1e-9 * moved);
}

TEST(ClipTest, BoundsTheLengthOfAStep) {
  MemoryHost host;

  // One step: all 32 examples in a batch.
  ASSERT_OK(RunOn(
      host, Spec({{"clip_gradient_norm", 0.001}, {"batch_size", 32}}), 1));

  EXPECT_NEAR(Distance(host.Weights(0), host.Weights(1)), 0.1 * 0.001, 1e-6);
}

TEST(GroupsTest, AFactorOfZeroHoldsAGroupFast) {
  MemoryHost host;
  Json spec = Spec(Json::object());
  spec["optimizer"]["groups"]["norm"]["learning_rate_factor"] = 0;

  ASSERT_OK(RunOn(host, spec, 1));

  for (const TableEntry& entry : host.started.tensors) {
    if (entry.role != TensorRole::kParameter) continue;
    const size_t bytes = entry.shape[0] * sizeof(float);
    const bool same =
        std::memcmp(host.snapshots.at(0).data() + entry.offset,
                    host.snapshots.at(1).data() + entry.offset, bytes) == 0;
    EXPECT_EQ(same, entry.name.starts_with("bn")) << entry.name;
  }
}

class PrecisionTest : public ::testing::TestWithParam<const char*> {};

TEST_P(PrecisionTest, LearnsAndGoesOnBitForBit) {
  const Json spec = Spec({{"precision", GetParam()}});
  MemoryHost whole;
  ASSERT_OK(RunOn(whole, spec, 3));

  MemoryHost resumed;
  ASSERT_OK(RunOn(resumed, spec, 3, &whole, 1));

  EXPECT_EQ(resumed.snapshots.at(3), whole.snapshots.at(3));
  EXPECT_EQ(resumed.measurements.at(3), whole.measurements.at(3));
  EXPECT_LT(whole.measurements.at(3).training_loss.value(),
            whole.measurements.at(1).training_loss.value());
}

INSTANTIATE_TEST_SUITE_P(All, PrecisionTest,
                         ::testing::Values("FP32", "FP64", "BF16"));

TEST(PrecisionTest, StoresWhatItTrains) {
  MemoryHost fp64;
  MemoryHost bf16;

  ASSERT_OK(RunOn(fp64, Spec({{"precision", "FP64"}}), 1));
  ASSERT_OK(RunOn(bf16, Spec({{"precision", "BF16"}}), 1));

  EXPECT_EQ(fp64.started.tensors[0].dtype, DType::kF64);
  EXPECT_EQ(bf16.started.tensors[0].dtype, DType::kF32);
}

TEST(PrecisionTest, Bf16ComputesRoundedProducts) {
  MemoryHost fp32;
  MemoryHost bf16;

  ASSERT_OK(RunOn(fp32, Spec({{"precision", "FP32"}}), 1));
  ASSERT_OK(RunOn(bf16, Spec({{"precision", "BF16"}}), 1));

  const double moved = Distance(fp32.Weights(0), fp32.Weights(1));
  const double apart = Distance(fp32.Weights(1), bf16.Weights(1));
  EXPECT_GT(apart, 1e-5 * moved);  // It is another arithmetic,
  EXPECT_LT(apart, 0.5 * moved);   // and much the same way.
}

TEST(AugmentationTest, GoesOnBitForBit) {
  const Json spec = Spec({{"augmentation",
                           {{"crop_padding", 2},
                            {"flip_probability", 0.5},
                            {"cutout_size", 3},
                            {"mixup_alpha", 1}}},
                          {"loss", {{"label_smoothing", 0.1}}}});
  MemoryHost whole;
  ASSERT_OK(RunOn(whole, spec, 3));

  MemoryHost resumed;
  ASSERT_OK(RunOn(resumed, spec, 3, &whole, 2));

  EXPECT_EQ(resumed.snapshots.at(3), whole.snapshots.at(3));
}

TEST(EarlyStopTest, EndsAfterTheEpochThatReachesTheTarget) {
  MemoryHost host;

  ASSERT_OK(RunOn(host,
                  Spec({{"early_stop", {{"validation_accuracy", 0.01}}},
                        {"evaluate", "TEST_LAST_EPOCH"}}),
                  3));

  EXPECT_EQ(host.finished, 1);
  EXPECT_EQ(host.snapshots.rbegin()->first, 1);
  EXPECT_TRUE(host.measurements.at(1).test_accuracy.has_value());
}

TEST(EarlyStopTest, GoesOnBelowTheTarget) {
  MemoryHost host;
  Json spec = Spec({{"early_stop", {{"validation_accuracy", 1}}}});
  spec["optimizer"]["sgd"]["learning_rate"] = 1e-9;

  ASSERT_OK(RunOn(host, spec, 3));

  EXPECT_EQ(host.finished, 3);
}

}  // namespace
}  // namespace headstart::worker
