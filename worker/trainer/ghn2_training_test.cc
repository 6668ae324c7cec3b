// Trainings of a hypernetwork: as any other's, but for the device.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "worker/cuda/fake_device.h"
#include "worker/trainer/training_for_tests.h"

namespace headstart::worker {
namespace {

Json Hypernetwork() {
  return Spec({{"model",
                {{"small_cnn", nullptr},
                 {"ghn2",
                  {{"architectures", 10},
                   {"architecture_seed", 1},
                   {"meta_batch", 4},
                   {"channels", 16},
                   {"kernel", 5},
                   {"hidden", 8}}}}},
               {"batch_size", 16},
               {"optimizer",
                {{"sgd", nullptr},
                 {"adam",
                  {{"learning_rate", 0.003},
                   {"beta1", 0.9},
                   {"beta2", 0.999},
                   {"epsilon", 1e-8},
                   {"weight_decay", 1e-5}}}}},
               {"clip_gradient_norm", 5},
               {"epochs", 12}});
}

TEST(Ghn2TrainingTest, LearnsAndGoesOnBitForBit) {
  const Json spec = Hypernetwork();
  MemoryHost whole;
  ASSERT_OK(RunOn(whole, spec, 12));

  MemoryHost resumed;
  ASSERT_OK(RunOn(resumed, spec, 12, &whole, 5));

  EXPECT_EQ(resumed.snapshots.at(12), whole.snapshots.at(12));
  EXPECT_EQ(resumed.measurements.at(12), whole.measurements.at(12));
  EXPECT_LT(whole.measurements.at(12).training_loss.value(),
            0.95 * whole.measurements.at(1).training_loss.value());
}

TEST(Ghn2TrainingTest, DevicesRefuseIt) {
  MemoryHost host;
  FakeDevice device;

  EXPECT_THAT(RunOn(host, Hypernetwork(), 1, nullptr, 0, &device),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "Slots on the CPU take it"));
}

}  // namespace
}  // namespace headstart::worker
