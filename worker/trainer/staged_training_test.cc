// Whole trainings in stages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/match.h"

#include "tests/support/status_matchers.h"
#include "worker/cuda/fake_device.h"
#include "worker/trainer/training_for_tests.h"

namespace headstart::worker {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

const Json kShrinkPerturb = {
    {"count", 3}, {"shrink_perturb", {{"shrink", 0.4}, {"perturb", 0.1}}}};
const Json kRedraw = {{"count", 3}, {"redraw", Json::object()}};
const Json kKeep = {{"count", 3}, {"keep", Json::object()}};
const Json kDistilled = {{"weight", 1}, {"targets", "RECOMPUTED"}};
const Json kCached = {{"weight", 1}, {"targets", "CACHED"}};

Json LayerWise(int64_t blocks, int64_t repeats = 1,
               const char* normalization = "NORMALIZE_CHANNELS",
               const char* rescale = "RESCALE_LAYERS") {
  return {{"layer_wise",
           {{"blocks", blocks},
            {"repeats", repeats},
            {"rescale", rescale},
            {"normalization", normalization}}}};
}

// Six epochs of the small CNN; `changes` go into the whole spec.
Json Staged(Json stages, const Json& changes = Json::object()) {
  for (const char* field : {"reset_optimizer", "growing_data"}) {
    if (!stages.contains(field)) {
      stages[field] = std::string(field) == "reset_optimizer";
    }
  }
  Json spec = Spec({{"epochs", 6}, {"stages", stages}});
  spec.merge_patch(changes);
  return spec;
}

// A rate so small that no weight changes.
Json Standstill() {
  return {{"optimizer",
           {{"sgd",
             {{"learning_rate", 1e-30},
              {"momentum", 0},
              {"nesterov", false},
              {"weight_decay", 0}}}}}};
}

Json Momentum() {
  return {{"optimizer",
           {{"sgd",
             {{"learning_rate", 0.05},
              {"momentum", 0.9},
              {"nesterov", false},
              {"weight_decay", 0.001}}}}}};
}

std::string BytesOf(const MemoryHost& host, int64_t epoch,
                    const std::string& name) {
  for (const TableEntry& entry : host.started.tensors) {
    if (entry.name == name) {
      return host.snapshots.at(epoch).substr(entry.offset, entry.bytes);
    }
  }
  ADD_FAILURE() << "no tensor " << name;
  return "";
}

std::vector<float> Floats(const MemoryHost& host, int64_t epoch,
                          const std::string& name) {
  const std::string bytes = BytesOf(host, epoch, name);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

double Norm(const std::vector<float>& values) {
  double squares = 0;
  for (const float value : values) squares += double{value} * value;
  return std::sqrt(squares);
}

double Cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double dot = 0;
  for (size_t i = 0; i < a.size(); ++i) dot += double{a[i]} * b[i];
  return dot / Norm(a) / Norm(b);
}

struct Case {
  const char* name;
  Json stages;
};
void PrintTo(const Case& of, std::ostream* out) { *out << of.name; }

Json With(Json stages, const Json& more) {
  stages.merge_patch(more);
  return stages;
}

class StagedTrainingTest : public ::testing::TestWithParam<Case> {};

// Inside stages and between them.
TEST_P(StagedTrainingTest, GoesOnBitForBit) {
  const Json spec = Staged(GetParam().stages, Momentum());
  MemoryHost whole;
  ASSERT_OK(RunOn(whole, spec, 6));
  for (int64_t from = 1; from < 6; ++from) {
    MemoryHost resumed;
    ASSERT_OK(RunOn(resumed, spec, 6, &whole, from));
    for (int64_t epoch = from + 1; epoch <= 6; ++epoch) {
      EXPECT_TRUE(resumed.snapshots.at(epoch) == whole.snapshots.at(epoch))
          << "from " << from << ", epoch " << epoch;
      EXPECT_EQ(resumed.measurements.at(epoch), whole.measurements.at(epoch));
    }
  }
}

TEST_P(StagedTrainingTest, IsTheSameOnADevice) {
  const Json spec = Staged(GetParam().stages, Momentum());
  MemoryHost cpu, there;
  FakeDevice device;
  ASSERT_OK(RunOn(cpu, spec, 6));
  ASSERT_OK(RunOn(there, spec, 6, nullptr, 0, &device));
  for (const auto& [epoch, bytes] : cpu.snapshots) {
    EXPECT_TRUE(there.snapshots.at(epoch) == bytes) << "epoch " << epoch;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, StagedTrainingTest,
    ::testing::Values(
        Case{"shrink_perturb", kShrinkPerturb},
        Case{"shrink_perturb_distilled",
             With(kShrinkPerturb, {{"distillation", kDistilled}})},
        Case{"shrink_perturb_cached",
             With(kShrinkPerturb, {{"distillation", kCached}})},
        Case{"born_again", With(kRedraw, {{"distillation", kDistilled}})},
        Case{"restarts", kKeep},
        Case{"moments_kept", With(kKeep, {{"reset_optimizer", false}})},
        Case{"warm_start", With(kKeep, {{"growing_data", true}})},
        Case{"layer_wise", LayerWise(3)},
        Case{"layer_wise_repeated", LayerWise(3, 2, "NORMALIZE_TOGETHER")},
        Case{"layer_wise_distilled",
             With(LayerWise(2, 3), {{"distillation", kDistilled}})},
        Case{"layer_wise_bare",
             LayerWise(3, 1, "NORMALIZE_NOTHING", "RESCALE_NOTHING")}),
    [](const auto& info) { return std::string(info.param.name); });

// T = 1 is the training without stages, for every method.
TEST(StagesTest, OneStageIsTheTrainingWithoutAny) {
  MemoryHost plain;
  Json spec = Momentum();
  spec["epochs"] = 6;
  ASSERT_OK(RunOn(plain, Spec(spec), 6));
  for (Json stages : {kShrinkPerturb, kRedraw, kKeep}) {
    stages["count"] = 1;
    MemoryHost host;
    ASSERT_OK(RunOn(host, Staged(stages, Momentum()), 6));
    for (int64_t epoch = 0; epoch <= 6; ++epoch) {
      EXPECT_TRUE(host.snapshots.at(epoch) == plain.snapshots.at(epoch));
    }
  }
}

// Until the second stage begins nothing tells them apart.
TEST(StagesTest, TheFirstStageOfLayerWiseIsThatWithoutStages) {
  MemoryHost plain, host;
  Json spec = Momentum();
  spec["epochs"] = 6;
  ASSERT_OK(RunOn(plain, Spec(spec), 6));
  ASSERT_OK(RunOn(host, Staged(LayerWise(3), Momentum()), 6));
  EXPECT_EQ(host.Weights(2), plain.Weights(2));
  EXPECT_NE(host.Weights(3), plain.Weights(3));
}

TEST(StagesTest, RestartsOfTheScheduleAloneAreTrainingWithThatSchedule) {
  MemoryHost plain, host;
  Json spec = Momentum();
  spec["epochs"] = 6;
  ASSERT_OK(RunOn(plain, Spec(spec), 6));
  ASSERT_OK(RunOn(
      host, Staged(With(kKeep, {{"reset_optimizer", false}}), Momentum()), 6));
  // The schedule is constant.
  EXPECT_EQ(host.Weights(6), plain.Weights(6));
}

// Without learning, each stage's parameters are 0.4 of the ones before it and
// 0.1 of a fresh draw; what is fresh shows with (0, 1).
TEST(StagesTest, ShrinksAndPerturbsEveryParameter) {
  MemoryHost mixed, fresh;
  ASSERT_OK(RunOn(mixed, Staged(kShrinkPerturb, Standstill()), 6));
  Json redrawn = kShrinkPerturb;
  redrawn["shrink_perturb"] = {{"shrink", 0}, {"perturb", 1}};
  ASSERT_OK(RunOn(fresh, Staged(redrawn, Standstill()), 6));
  int64_t compared = 0;
  for (const TableEntry& entry : mixed.started.tensors) {
    if (entry.role != TensorRole::kParameter) continue;
    for (const int64_t begins : {3, 5}) {
      const auto before = Floats(mixed, begins - 1, entry.name);
      const auto now = Floats(mixed, begins, entry.name);
      const auto drawn = Floats(fresh, begins, entry.name);
      for (size_t i = 0; i < now.size(); ++i) {
        ASSERT_NEAR(now[i] - 0.4 * before[i], 0.1 * drawn[i], 1e-7)
            << entry.name << " " << i;
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 180'000);
  // Of a norm's scale, which is drawn as 1: .4 + .1, then .4 * .5 + .1.
  EXPECT_FLOAT_EQ(Floats(mixed, 3, "bn1.weight")[0], 0.5f);
  EXPECT_FLOAT_EQ(Floats(mixed, 5, "bn1.weight")[0], 0.3f);
}

TEST(StagesTest, FreshDrawsDifferFromStageToStageAndAreTheInitializers) {
  MemoryHost host;
  Json changes = Standstill();
  changes["initializer"] = {{"framework_default", nullptr},
                            {"constant", {{"value", 0.5}}}};
  ASSERT_OK(RunOn(host, Staged(kRedraw, Standstill()), 6));
  const auto first = Floats(host, 2, "conv2.weight");
  const auto second = Floats(host, 4, "conv2.weight");
  const auto third = Floats(host, 6, "conv2.weight");
  EXPECT_LT(std::abs(Cosine(first, second)), 0.1);
  EXPECT_LT(std::abs(Cosine(second, third)), 0.1);
  EXPECT_NEAR(Norm(second) / Norm(first), 1, 0.05);

  MemoryHost constant;
  ASSERT_OK(RunOn(constant, Staged(kRedraw, changes), 6));
  for (const float value : Floats(constant, 6, "conv2.weight")) {
    ASSERT_EQ(value, 0.5f);
  }
}

TEST(StagesTest, ResetsBuffersAndCountsWithTheWeights) {
  MemoryHost host;
  ASSERT_OK(RunOn(host, Staged(kShrinkPerturb, Momentum()), 6));
  const auto steps = [&](int64_t epoch) {
    int64_t count;
    std::memcpy(&count, BytesOf(host, epoch, "bn1.num_batches_tracked").data(),
                sizeof(count));
    return count;
  };
  // 32 examples in batches of 8: four steps an epoch.
  EXPECT_EQ(steps(2), 8);
  EXPECT_EQ(steps(3), 4);
  EXPECT_EQ(steps(4), 8);
  MemoryHost kept;
  ASSERT_OK(RunOn(kept, Staged(kKeep, Momentum()), 6));
  int64_t count;
  std::memcpy(&count, BytesOf(kept, 6, "bn1.num_batches_tracked").data(),
              sizeof(count));
  EXPECT_EQ(count, 24);
}

// The kept prefix has its directions, at the norms of epoch 0; what is behind
// it is what a stage without any kept group draws.
TEST(StagesTest, LayerWiseKeepsDirectionsAndRedrawsTheRest) {
  MemoryHost host, fresh;
  const Json spec = Momentum();
  ASSERT_OK(RunOn(host, Staged(LayerWise(3), spec), 6));
  ASSERT_OK(RunOn(fresh, Staged(kRedraw, Standstill()), 6));
  // Resumed for one more epoch at a standstill, a boundary shows by itself.
  MemoryHost second;
  Json still = Staged(LayerWise(3), spec);
  still["optimizer"]["sgd"]["learning_rate"] = 1e-30;
  still["optimizer"]["sgd"]["weight_decay"] = 0;
  ASSERT_OK(RunOn(second, still, 3, &host, 2));
  const auto before = Floats(host, 2, "conv1.weight");
  const auto after = Floats(second, 3, "conv1.weight");
  EXPECT_NEAR(Cosine(before, after), 1, 1e-6);
  EXPECT_NEAR(Norm(after), Norm(Floats(host, 0, "conv1.weight")), 1e-5);
  EXPECT_GT(std::abs(Norm(before) - Norm(after)), 1e-4);
  for (const char* name : {"conv2.weight", "conv3.weight", "linear.weight",
                           "linear.bias", "bn2.weight"}) {
    EXPECT_EQ(BytesOf(second, 3, name), BytesOf(fresh, 3, name)) << name;
  }
  // Parameters of norms stay as they are.
  EXPECT_EQ(BytesOf(second, 3, "bn1.weight"), BytesOf(host, 2, "bn1.weight"));
}

TEST(StagesTest, LayerWiseInsertsNormalizationsOneAfterTheOther) {
  MemoryHost host;
  ASSERT_OK(RunOn(host, Staged(LayerWise(3), Momentum()), 6));
  const std::vector<float> identity(64, 0.f);
  EXPECT_EQ(Floats(host, 2, "inserted.1.mean"), std::vector<float>(32, 0.f));
  EXPECT_NE(Floats(host, 3, "inserted.1.mean"), std::vector<float>(32, 0.f));
  EXPECT_EQ(Floats(host, 4, "inserted.2.mean"), identity);
  EXPECT_NE(Floats(host, 5, "inserted.2.mean"), identity);
  // What is inserted is frozen, and stays when the next one comes.
  EXPECT_EQ(BytesOf(host, 3, "inserted.1.deviation"),
            BytesOf(host, 6, "inserted.1.deviation"));
  for (const TableEntry& entry : host.started.tensors) {
    EXPECT_EQ(entry.role == TensorRole::kInserted,
              absl::StartsWith(entry.name, "inserted."))
        << entry.name;
  }
}

// A teacher that counts for nothing changes nothing, and one that counts does.
TEST(StagesTest, DistillationAddsItsWeightToTheLoss) {
  MemoryHost without, faint, full;
  ASSERT_OK(RunOn(without, Staged(kRedraw, Momentum()), 6));
  ASSERT_OK(RunOn(
      faint,
      Staged(With(kRedraw, {{"distillation",
                             {{"weight", 1e-30}, {"targets", "RECOMPUTED"}}}}),
             Momentum()),
      6));
  ASSERT_OK(RunOn(
      full, Staged(With(kRedraw, {{"distillation", kDistilled}}), Momentum()),
      6));
  EXPECT_EQ(faint.Weights(6), without.Weights(6));
  EXPECT_EQ(full.Weights(2), without.Weights(2));
  EXPECT_NE(full.Weights(3), without.Weights(3));
  EXPECT_GT(*full.measurements.at(3).training_loss,
            *without.measurements.at(3).training_loss);
}

TEST(StagesTest, TheTeacherIsTheEndOfTheStageBeforeAndStaysPut) {
  MemoryHost host;
  ASSERT_OK(RunOn(
      host, Staged(With(kRedraw, {{"distillation", kDistilled}}), Momentum()),
      6));
  for (const char* name : {"conv1.weight", "bn2.running_mean", "linear.bias",
                           "bn3.num_batches_tracked"}) {
    const std::string teacher = std::string("teacher.") + name;
    EXPECT_EQ(BytesOf(host, 3, teacher), BytesOf(host, 2, name)) << name;
    EXPECT_EQ(BytesOf(host, 4, teacher), BytesOf(host, 2, name)) << name;
    EXPECT_EQ(BytesOf(host, 5, teacher), BytesOf(host, 4, name)) << name;
  }
}

// Without augmentation the teacher says the same of an image every time.
TEST(StagesTest, CachedTargetsAreTheRecomputedOnesWithoutAugmentation) {
  MemoryHost recomputed, cached;
  ASSERT_OK(RunOn(
      recomputed,
      Staged(With(kRedraw, {{"distillation", kDistilled}}), Momentum()), 6));
  ASSERT_OK(
      RunOn(cached,
            Staged(With(kRedraw, {{"distillation", kCached}}), Momentum()), 6));
  const auto a = recomputed.Weights(4), b = cached.Weights(4);
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4);
}

// 32 training examples arrive in three parts: 10, 21, 32; batches of 8.
TEST(StagesTest, DataGrowsWithTheStages) {
  MemoryHost host;
  ASSERT_OK(RunOn(
      host, Staged(With(kKeep, {{"growing_data", true}}), Momentum()), 6));
  const auto steps = [&](int64_t epoch) {
    int64_t count;
    std::memcpy(&count, BytesOf(host, epoch, "bn1.num_batches_tracked").data(),
                sizeof(count));
    return count;
  };
  EXPECT_EQ(steps(1), 2);
  EXPECT_EQ(steps(2), 4);
  EXPECT_EQ(steps(3), 4 + 3);
  EXPECT_EQ(steps(5), 4 + 6 + 4);
}

// Three stages of two epochs are one run whose rate goes 1, 1/2, 1, 1/2, 1,
// 1/2.
TEST(StagesTest, CosinesGoDownOnceInEachStage) {
  Json spec = Momentum();
  spec["optimizer"]["sgd"]["momentum"] = 0;
  spec["batch_size"] = 32;
  spec["schedule"] = {{"constant", nullptr},
                      {"cosine",
                       {{"step", "PER_EPOCH"},
                        {"period_epochs", 2},
                        {"final_learning_rate", 0}}}};
  MemoryHost staged, plain;
  ASSERT_OK(RunOn(staged, Staged(kKeep, spec), 6));
  // The same rates, written out.
  spec["schedule"] = {{"constant", nullptr},
                      {"multi_step", {{"milestones", {1}}, {"factor", 0.5}}}};
  ASSERT_OK(RunOn(plain, Staged(kKeep, spec), 6));
  const auto a = staged.Weights(6), b = plain.Weights(6);
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-5);
  // And not what one schedule over all six epochs does.
  Json once = spec;
  once["epochs"] = 6;
  MemoryHost whole;
  ASSERT_OK(RunOn(whole, Spec(once), 6));
  EXPECT_EQ(whole.Weights(2), plain.Weights(2));
  EXPECT_NE(whole.Weights(3), plain.Weights(3));
}

TEST(StagesTest, RefusesMoreGroupsThanBlocks) {
  MemoryHost host;
  Json spec = Staged(LayerWise(4));
  spec["epochs"] = 8;
  const absl::Status status = RunOn(host, spec, 8);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(),
              HasSubstr("training.stages.layer_wise.blocks: is 4, and must be "
                        "at most the model's 3 blocks: conv1+bn1, conv2+bn2, "
                        "conv3+bn3+linear."));
}

TEST(StagesTest, RefusesAFirstStageWithoutABatch) {
  MemoryHost host;
  Json spec = Staged(With(kKeep, {{"growing_data", true}}));
  spec["batch_size"] = 16;
  const absl::Status status = RunOn(host, spec, 6);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(),
              HasSubstr("at most the 10 examples of the first stage, got 16"));
}

TEST(StagesTest, RefusesEpochsThatTheStagesDoNotDivide) {
  MemoryHost host;
  Json spec = Staged(kKeep);
  spec["epochs"] = 7;
  const absl::Status status = RunOn(host, spec, 7);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("3 stages do not divide 7 epochs"));
}

}  // namespace
}  // namespace headstart::worker
