// The engine for devices on one whose memory is the host's: what it stores and
// measures is the CPU's, bit for bit.
#include "worker/trainer/device_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/status_matchers.h"
#include "worker/cuda/fake_device.h"
#include "worker/trainer/training_for_tests.h"

namespace headstart::worker {
namespace {

Json Momentum() {
  return {{"optimizer",
           {{"sgd",
             {{"learning_rate", 0.05},
              {"momentum", 0.9},
              {"nesterov", true},
              {"weight_decay", 5e-4}}}}}};
}

Json Adam(const char* rule) {
  return {{"optimizer",
           {{"sgd", nullptr},
            {rule,
             {{"learning_rate", 0.002},
              {"beta1", 0.9},
              {"beta2", 0.999},
              {"epsilon", 1e-8},
              {"weight_decay", 0.01}}}}},
          {"evaluate", "TEST_EVERY_EPOCH"}};
}

struct Case {
  const char* name;
  Json changes;
};

void PrintTo(const Case& of, std::ostream* out) { *out << of.name; }

class SameAsCpuTest : public ::testing::TestWithParam<Case> {};

TEST_P(SameAsCpuTest, StoresAndMeasuresTheSame) {
  const Json spec = Spec(GetParam().changes);
  MemoryHost cpu, there;
  FakeDevice device;

  ASSERT_OK(RunOn(cpu, spec, 3));
  ASSERT_OK(RunOn(there, spec, 3, nullptr, 0, &device));

  EXPECT_EQ(there.snapshots.size(), 4u);
  for (const auto& [epoch, bytes] : cpu.snapshots) {
    EXPECT_TRUE(there.snapshots.at(epoch) == bytes) << "epoch " << epoch;
  }
  for (const auto& [epoch, want] : cpu.measurements) {
    const Measurement& got = there.measurements.at(epoch);
    EXPECT_NEAR(*got.training_loss, *want.training_loss, 1e-12);
    EXPECT_NEAR(*got.training_accuracy, *want.training_accuracy, 1e-12);
    EXPECT_NEAR(*got.validation_loss, *want.validation_loss, 1e-12);
    EXPECT_EQ(got.validation_accuracy, want.validation_accuracy);
    EXPECT_EQ(got.test_accuracy, want.test_accuracy);
  }
  EXPECT_EQ(there.finished, 3);
  EXPECT_GT(device.replays, 0);
  EXPECT_EQ(device.seeded, 3);
  EXPECT_TRUE(device.pinned.empty());
}

INSTANTIATE_TEST_SUITE_P(
    All, SameAsCpuTest,
    ::testing::Values(
        Case{"sgd", Json::object()}, Case{"momentum", Momentum()},
        Case{"adam", Adam("adam")}, Case{"adamw", Adam("adamw")},
        Case{"last_batch_smaller", {{"batch_size", 10}, {"epochs", 3}}},
        Case{"augmented",
             {{"augmentation",
               {{"crop_padding", 2},
                {"flip_probability", 0.5},
                {"cutout_size", 3}}}}},
        Case{"mixup", {{"augmentation", {{"mixup_alpha", 0.4}}}}},
        Case{"resized",
             {{"augmentation",
               {{"random_resized_crop",
                 {{"min_scale", 0.3},
                  {"max_scale", 1.0},
                  {"min_ratio", 0.75},
                  {"max_ratio", 1.25}}}}}}},
        Case{"bf16", {{"precision", "BF16"}}},
        Case{"fp64", {{"precision", "FP64"}}},
        Case{"parts", {{"accumulation_steps", 2}}},
        Case{"batch_norm",
             {{"model",
               {{"small_cnn", nullptr},
                {"resnet110",
                 {{"norm", "BATCH_NORM"}, {"shortcut", "PAD"}}}}}}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(DeviceEngineTest, ClipsGradientsAsTheCpuDoes) {
  const Json spec = Spec({{"clip_gradient_norm", 0.1}});
  MemoryHost cpu, there;
  FakeDevice device;

  ASSERT_OK(RunOn(cpu, spec, 3));
  ASSERT_OK(RunOn(there, spec, 3, nullptr, 0, &device));

  const auto want = cpu.Weights(3), got = there.Weights(3);
  const auto first = cpu.Weights(0);
  ASSERT_NE(want, first);
  for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-6);
}

TEST(DeviceEngineTest, GoesOnFromWhatEitherDeviceStored) {
  const Json spec = Spec(Adam("adam"));
  MemoryHost whole, resumed, resumed_on_cpu;
  FakeDevice device;
  ASSERT_OK(RunOn(whole, spec, 3, nullptr, 0, &device));

  ASSERT_OK(RunOn(resumed, spec, 3, &whole, 1, &device));
  ASSERT_OK(RunOn(resumed_on_cpu, spec, 3, &whole, 1));

  EXPECT_TRUE(resumed.snapshots.at(3) == whole.snapshots.at(3));
  EXPECT_TRUE(resumed_on_cpu.snapshots.at(3) == whole.snapshots.at(3));
}

TEST(DeviceEngineTest, MakesImagesOnTheHostWhereTheyDoNotFit) {
  const Json spec = Spec({{"augmentation", {{"crop_padding", 2}}}});
  MemoryHost cpu, there;
  FakeDevice device;
  device.free_bytes = 1000;

  ASSERT_OK(RunOn(cpu, spec, 3));
  ASSERT_OK(RunOn(there, spec, 3, nullptr, 0, &device));

  EXPECT_TRUE(there.snapshots.at(3) == cpu.snapshots.at(3));
  EXPECT_EQ(there.measurements.at(3).validation_accuracy,
            cpu.measurements.at(3).validation_accuracy);
}

TEST(DeviceEngineTest, DoesEveryStepByItselfWhereNoneCanBeRecorded) {
  const Json spec = Spec(Momentum());
  MemoryHost cpu, there;
  FakeDevice device;
  device.can_record = false;

  ASSERT_OK(RunOn(cpu, spec, 3));
  ASSERT_OK(RunOn(there, spec, 3, nullptr, 0, &device));

  EXPECT_TRUE(there.snapshots.at(3) == cpu.snapshots.at(3));
  EXPECT_EQ(device.replays, 0);
}

TEST(DeviceEngineTest, NamesTheEpochOfANonFiniteLoss) {
  const Json spec = Spec({{"optimizer", {{"sgd", {{"learning_rate", 1e30}}}}}});
  MemoryHost host;
  FakeDevice device;

  EXPECT_THAT(RunOn(host, spec, 3, nullptr, 0, &device),
              StatusIs(absl::StatusCode::kOutOfRange, "epoch 1"));
}

TEST(DeviceEngineTest, StoresWhatCameBeforeAFailure) {
  const Json spec = Spec({{"batch_size", 32},
                          {"optimizer", {{"sgd", {{"learning_rate", 1e30}}}}}});
  MemoryHost host;
  FakeDevice device;

  EXPECT_THAT(RunOn(host, spec, 3, nullptr, 0, &device),
              StatusIs(absl::StatusCode::kOutOfRange, "epoch 1"));
  EXPECT_EQ(host.snapshots.size(), 1u);
}

}  // namespace
}  // namespace headstart::worker
