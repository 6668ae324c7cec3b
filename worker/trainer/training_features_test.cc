// What a spec can ask of the loop beyond plain steps, each by its effect on a
// whole training.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

#include "base/clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/training_json.h"
#include "worker/trainer/host.h"
#include "worker/trainer/runtime.h"
#include "worker/trainer/train_loop.h"

namespace headstart::worker {
namespace {

using Json = nlohmann::json;

constexpr char kRun[] = "studies/1/trials/1";

// Keeps what a training says and stores.
class MemoryHost final : public Host {
 public:
  absl::StatusOr<std::optional<Assignment>> Next() override {
    return std::nullopt;
  }
  absl::Status Begin(const Started& said) override {
    started = said;
    slab_ = Slab::Create(said.slab_bytes).value();
    return absl::OkStatus();
  }
  std::optional<int64_t> AcquireSlab() override { return 0; }
  Slab& slab(int64_t) override { return slab_; }
  std::optional<StopMode> stop() const override { return std::nullopt; }
  absl::Status Send(const TrainerMessage& message) override {
    if (const auto* epoch = std::get_if<EpochDone>(&message)) {
      measurements[epoch->epoch] = epoch->measurement;
    } else if (const auto* snapshot = std::get_if<Snapshot>(&message)) {
      snapshots[snapshot->epoch] = std::string(slab_.data(), slab_.bytes());
    } else if (const auto* done = std::get_if<Finished>(&message)) {
      finished = done->epoch;
    }
    return absl::OkStatus();
  }

  // All parameters after an epoch, one after the other.
  std::vector<double> Weights(int64_t epoch) const {
    std::vector<double> weights;
    for (const TableEntry& entry : started.tensors) {
      if (entry.role != TensorRole::kParameter) continue;
      const char* at = snapshots.at(epoch).data() + entry.offset;
      int64_t count = 1;
      for (const int64_t size : entry.shape) count *= size;
      for (int64_t i = 0; i < count; ++i) {
        if (entry.dtype == DType::kF64) {
          double value;
          std::memcpy(&value, at + i * sizeof(value), sizeof(value));
          weights.push_back(value);
        } else {
          float value;
          std::memcpy(&value, at + i * sizeof(value), sizeof(value));
          weights.push_back(value);
        }
      }
    }
    return weights;
  }

  Started started;
  std::map<int64_t, Measurement> measurements;
  std::map<int64_t, std::string> snapshots;
  std::optional<int64_t> finished;

 private:
  Slab slab_;
};

// The small CNN on drawn images, SGD without momentum, `changes` merged in.
Json Spec(const Json& changes) {
  Json spec = CompleteTraining(
      {{"model", {{"small_cnn", Json::object()}}},
       {"dataset",
        {{"synthetic",
          {{"train_examples", 48},
           {"test_examples", 20},
           {"channels", 3},
           {"image_size", 8},
           {"classes", 4},
           {"seed", 1},
           {"validation_examples", 16},
           {"split_seed", 1}}}}},
       {"epochs", 3},
       {"batch_size", 8},
       {"optimizer",
        {{"sgd",
          {{"learning_rate", 0.1},
           {"momentum", 0},
           {"nesterov", false},
           {"weight_decay", 0}}}}},
       {"schedule", {{"constant", Json::object()}}},
       {"initializer", {{"framework_default", Json::object()}}},
       {"evaluate", "TEST_NEVER"}});
  spec.merge_patch(changes);
  return spec;
}

absl::Status RunOn(MemoryHost& host, const Json& spec, int64_t until_epoch,
                   const MemoryHost* resumed = nullptr,
                   int64_t from_epoch = 0) {
  static const bool set_up = (SetUpLibTorch(/*threads=*/1), true);
  EXPECT_TRUE(set_up);
  Assignment assignment = {.assign = {.run = kRun,
                                      .attempt = 1,
                                      .training_json = spec.dump(),
                                      .seed = 42,
                                      .from_epoch = from_epoch,
                                      .until_epoch = until_epoch},
                           .source_memory = {}};
  if (resumed != nullptr) {
    const std::string& bytes = resumed->snapshots.at(from_epoch);
    Slab memory = Slab::Create(bytes.size()).value();
    std::memcpy(memory.data(), bytes.data(), bytes.size());
    assignment.assign.sources.push_back(
        {.checkpoint = absl::StrCat(kRun, "/epochs/", from_epoch),
         .role = SourceRole::kResume,
         .bytes = memory.bytes(),
         .tensors = resumed->started.tensors});
    assignment.source_memory.push_back(std::move(memory));
  }
  DatasetReader datasets({});
  return Train(assignment, datasets, Clock::Real(), host);
}

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
