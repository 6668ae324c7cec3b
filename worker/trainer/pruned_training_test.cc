// Whole trainings that prune, level by level.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/match.h"

#include "tests/support/status_matchers.h"
#include "worker/cuda/fake_device.h"
#include "worker/trainer/training_for_tests.h"

namespace headstart::worker {
namespace {

using testing::ElementsAre;

// Three levels of two epochs; `changes` go into the field `pruning`.
Json Pruned(const Json& changes = Json::object(), Json spec = Json::object()) {
  Json pruning = {{"epochs_per_level", 2},         {"rate", 0.2},
                  {"scope", "PRUNE_BY_TENSOR"},    {"rounding", "ROUND_DOWN"},
                  {"order", "SMALLEST_MAGNITUDE"}, {"biases", false},
                  {"reset", "RESET_TO_START"},     {"rewind_epoch", 0},
                  {"reset_optimizer", true}};
  pruning.merge_patch(changes);
  if (!spec.contains("epochs")) spec["epochs"] = 6;
  spec["pruning"] = pruning;
  return Spec(spec);
}

Json Adam() {
  return {{"optimizer",
           {{"sgd", nullptr},
            {"adam",
             {{"learning_rate", 0.002},
              {"beta1", 0.9},
              {"beta2", 0.999},
              {"epsilon", 1e-8},
              {"weight_decay", 0.01}}}}}};
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

std::string TensorOf(const MemoryHost& host, int64_t epoch,
                     const std::string& name) {
  for (const TableEntry& entry : host.started.tensors) {
    if (entry.name == name) {
      return host.snapshots.at(epoch).substr(entry.offset, entry.bytes);
    }
  }
  ADD_FAILURE() << "no tensor " << name;
  return "";
}

std::vector<float> Floats(const std::string& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// Calls `visit` for each pruned tensor with its weights and its mask.
template <typename Visit>
void ForEachPruned(const MemoryHost& host, int64_t epoch, const Visit& visit) {
  int count = 0;
  for (const TableEntry& entry : host.started.tensors) {
    if (entry.role != TensorRole::kMask) continue;
    ++count;
    const std::string parameter = entry.name.substr(std::strlen("mask."));
    visit(parameter, Floats(TensorOf(host, epoch, parameter)),
          TensorOf(host, epoch, entry.name));
  }
  EXPECT_GT(count, 0);
}

TEST(PrunedTrainingTest, LosesAFifthOfEachTensorWithEachLevel) {
  MemoryHost host;
  ASSERT_OK(RunOn(host, Pruned({{"biases", true}}), 6));

  for (int64_t epoch = 1; epoch <= 6; ++epoch) {
    const Measurement& measured = host.measurements.at(epoch);
    size_t place = 0;
    int64_t left = 0, entries = 0;
    ForEachPruned(
        host, epoch,
        [&](const std::string& name, const auto& weights,
            const std::string& mask) {
          int64_t expected = weights.size();
          for (int64_t level = 0; level < (epoch - 1) / 2; ++level) {
            expected -= expected / 5;
          }
          int64_t survivors = 0;
          for (size_t i = 0; i < weights.size(); ++i) {
            survivors += mask[i];
            EXPECT_TRUE(mask[i] || weights[i] == 0) << name << " " << i;
          }
          EXPECT_EQ(survivors, expected) << name << ", epoch " << epoch;
          ASSERT_LT(place, measured.survivors.size());
          EXPECT_EQ(measured.survivors[place],
                    (Survivors{name, expected, int64_t(weights.size())}));
          ++place;
          left += expected;
          entries += weights.size();
        });
    EXPECT_EQ(place, measured.survivors.size());
    EXPECT_EQ(measured.survivor_share, double(left) / entries);
  }
}

TEST(PrunedTrainingTest, SurvivorsBeginEachLevelWithTheirFirstValues) {
  MemoryHost host;
  ASSERT_OK(RunOn(host, Pruned(Json::object(), Standstill()), 6));

  ForEachPruned(
      host, 6,
      [&](const std::string& name, const auto& weights,
          const std::string& mask) {
        const std::vector<float> first = Floats(TensorOf(host, 0, name));
        for (size_t i = 0; i < weights.size(); ++i) {
          EXPECT_EQ(weights[i], mask[i] ? first[i] : 0) << name << " " << i;
        }
      });
}

// The last step before the boundary at rate 0.1 leaves other values than the
// first ones, so what is there after it says where it came from.
TEST(PrunedTrainingTest, GoesBackToTheEpochThatItIsRewoundTo) {
  const Json schedule = {
      {"schedule",
       {{"constant", nullptr},
        {"multi_step", {{"milestones", {1}}, {"factor", 1e-30}}}}}};
  MemoryHost host;
  // 2 + 1 + 1 epochs: the later levels are the second epoch again, in which no
  // weight changes.
  Json spec = schedule;
  spec["epochs"] = 4;
  ASSERT_OK(RunOn(host, Pruned({{"rewind_epoch", 1}}, spec), 4));

  EXPECT_NE(host.Weights(1), host.Weights(0));
  ForEachPruned(
      host, 4,
      [&](const std::string& name, const auto& weights,
          const std::string& mask) {
        const std::vector<float> first = Floats(TensorOf(host, 1, name));
        for (size_t i = 0; i < weights.size(); ++i) {
          EXPECT_EQ(weights[i], mask[i] ? first[i] : 0) << name << " " << i;
        }
      });
}

TEST(PrunedTrainingTest, GoesBackToTheFrameworkDefaultAsThePublishedCodeDoes) {
  MemoryHost plain, host;
  ASSERT_OK(RunOn(plain, Spec(Json::object()), 1));
  Json spec = Standstill();
  spec["initializer"] = {{"framework_default", nullptr},
                         {"xavier_normal", {{"gain", 1}}}};
  ASSERT_OK(
      RunOn(host, Pruned({{"reset", "RESET_TO_FRAMEWORK_DEFAULT"}}, spec), 3));

  EXPECT_NE(host.Weights(0), plain.Weights(0));
  ForEachPruned(
      host, 3,
      [&](const std::string& name, const auto& weights,
          const std::string& mask) {
        const std::vector<float> first = Floats(TensorOf(plain, 0, name));
        for (size_t i = 0; i < weights.size(); ++i) {
          EXPECT_EQ(weights[i], mask[i] ? first[i] : 0) << name << " " << i;
        }
      });
}

TEST(PrunedTrainingTest, WithoutAResetItGoesOnFromWhatIsThere) {
  MemoryHost host;
  ASSERT_OK(RunOn(host, Pruned({{"reset", "RESET_NOTHING"}}, Standstill()), 3));
  for (const TableEntry& entry : host.started.tensors) {
    EXPECT_FALSE(absl::StartsWith(entry.name, "start.")) << entry.name;
  }
  EXPECT_LT(*host.measurements.at(3).survivor_share, 0.81);
}

// A rate that rounds to nothing: then levels without any reset change nothing.
TEST(PrunedTrainingTest, WithoutLossIsTheTrainingWithoutPruning) {
  MemoryHost plain, host;
  Json spec = Adam();
  spec["epochs"] = 6;
  ASSERT_OK(RunOn(plain, Spec(spec), 6));
  ASSERT_OK(RunOn(host,
                  Pruned({{"rate", 1e-9},
                          {"reset", "RESET_NOTHING"},
                          {"reset_optimizer", false}},
                         Adam()),
                  6));
  EXPECT_EQ(host.Weights(6), plain.Weights(6));
}

// All examples in one batch: but for the order of a sum each level is the first
// one again, if optimizer and schedule begin again.
TEST(PrunedTrainingTest, OptimizerAndScheduleBeginAnewWithEachLevel) {
  Json spec = Adam();
  spec["batch_size"] = 32;
  spec["schedule"] = {{"constant", nullptr},
                      {"cosine",
                       {{"step", "PER_EPOCH"},
                        {"period_epochs", 2},
                        {"final_learning_rate", 0}}}};
  MemoryHost host, kept;
  ASSERT_OK(RunOn(host, Pruned({{"rate", 1e-9}}, spec), 6));
  const auto first = host.Weights(2), third = host.Weights(6);
  for (size_t i = 0; i < first.size(); ++i) {
    ASSERT_NEAR(third[i], first[i], 1e-5);
  }
  ASSERT_OK(RunOn(
      kept, Pruned({{"rate", 1e-9}, {"reset_optimizer", false}}, spec), 6));
  double difference = 0;
  const auto with_moments = kept.Weights(6);
  for (size_t i = 0; i < first.size(); ++i) {
    difference = std::max(difference, std::abs(with_moments[i] - first[i]));
  }
  EXPECT_GT(difference, 1e-4);
}

// The ticket of a pruned run: the masks of its last level on its first values.
class TicketTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(RunOn(pruned_, Pruned(), 6)); }

  // With epoch 0 and the masks of epoch 6 as sources.
  absl::Status Train(MemoryHost& host, Json spec, int64_t until,
                     const MemoryHost* resumed = nullptr, int64_t from = 0) {
    spec["initializer"] = {
        {"chain",
         {{"steps",
           {{{"checkpoint", {{"checkpoint", Name(0)}, {"buffers", true}}}},
            {{"mask", {{"checkpoint", Name(6)}}}}}}}}};
    Assignment assignment = {.assign = {.run = kRun,
                                        .attempt = 1,
                                        .training_json = spec.dump(),
                                        .seed = 7,
                                        .from_epoch = from,
                                        .until_epoch = until},
                             .source_memory = {}};
    if (resumed != nullptr) {
      Add(assignment, *resumed, from, SourceRole::kResume);
    } else {
      Add(assignment, pruned_, 0, SourceRole::kInitializer);
      Add(assignment, pruned_, 6, SourceRole::kInitializer);
    }
    DatasetReader datasets({});
    return worker::Train(assignment, datasets, Clock::Real(), host, nullptr);
  }

  static std::string Name(int64_t epoch) {
    return "trainings/1/runs/1/epochs/" + std::to_string(epoch);
  }
  static void Add(Assignment& assignment, const MemoryHost& from, int64_t epoch,
                  SourceRole role) {
    const std::string& bytes = from.snapshots.at(epoch);
    Slab memory = Slab::Create(bytes.size()).value();
    std::memcpy(memory.data(), bytes.data(), bytes.size());
    assignment.assign.sources.push_back({.checkpoint = Name(epoch),
                                         .role = role,
                                         .bytes = memory.bytes(),
                                         .tensors = from.started.tensors});
    assignment.source_memory.push_back(std::move(memory));
  }

  MemoryHost pruned_;
};

TEST_F(TicketTest, BeginsWithTheFirstValuesOfWhatIsLeftAndKeepsTheRestOut) {
  MemoryHost host;
  ASSERT_OK(Train(host, Spec({{"epochs", 2}}), 2));
  ForEachPruned(host, 2,
                [&](const std::string& name, const auto& weights,
                    const std::string& mask) {
                  if (absl::EndsWith(name, "bias")) return;  // Never pruned.
                  EXPECT_EQ(mask, TensorOf(pruned_, 6, "mask." + name));
                  const auto first = Floats(TensorOf(pruned_, 0, name));
                  const auto start = Floats(TensorOf(host, 0, name));
                  double moved = 0;
                  for (size_t i = 0; i < weights.size(); ++i) {
                    EXPECT_EQ(start[i], mask[i] ? first[i] : 0);
                    EXPECT_TRUE(mask[i] || weights[i] == 0);
                    moved += std::abs(weights[i] - start[i]);
                  }
                  EXPECT_GT(moved, 0);
                });
  EXPECT_EQ(host.measurements.at(2).survivor_share.has_value(), true);
}

TEST_F(TicketTest, ResumesAndPrunesOn) {
  MemoryHost whole, resumed;
  const Json spec = Pruned({{"biases", true}});
  ASSERT_OK(Train(whole, spec, 6));
  ASSERT_OK(Train(resumed, spec, 6, &whole, 3));
  EXPECT_TRUE(resumed.snapshots.at(6) == whole.snapshots.at(6));
  EXPECT_LT(*whole.measurements.at(6).survivor_share,
            *pruned_.measurements.at(6).survivor_share);
}

struct Case {
  const char* name;
  Json pruning;
};
void PrintTo(const Case& of, std::ostream* out) { *out << of.name; }

class ResumedTest : public ::testing::TestWithParam<Case> {};

// Inside levels and between them.
TEST_P(ResumedTest, GoesOnBitForBit) {
  Json changes = GetParam().pruning;
  Json of_spec = Adam();
  of_spec["epochs"] = changes.contains("rewind_epoch") ? 4 : 6;
  const int64_t epochs = of_spec["epochs"];
  const Json spec = Pruned(changes, of_spec);
  MemoryHost whole;
  ASSERT_OK(RunOn(whole, spec, epochs));
  for (int64_t from = 1; from < epochs; ++from) {
    MemoryHost resumed;
    ASSERT_OK(RunOn(resumed, spec, epochs, &whole, from));
    for (int64_t epoch = from + 1; epoch <= epochs; ++epoch) {
      EXPECT_TRUE(resumed.snapshots.at(epoch) == whole.snapshots.at(epoch))
          << "from " << from << ", epoch " << epoch;
    }
  }
}

TEST_P(ResumedTest, IsTheSameOnADevice) {
  Json changes = GetParam().pruning;
  Json of_spec = Adam();
  of_spec["epochs"] = changes.contains("rewind_epoch") ? 4 : 6;
  const int64_t epochs = of_spec["epochs"];
  const Json spec = Pruned(changes, of_spec);
  MemoryHost cpu, there;
  FakeDevice device;
  ASSERT_OK(RunOn(cpu, spec, epochs));
  ASSERT_OK(RunOn(there, spec, epochs, nullptr, 0, &device));
  for (const auto& [epoch, bytes] : cpu.snapshots) {
    EXPECT_TRUE(there.snapshots.at(epoch) == bytes) << "epoch " << epoch;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ResumedTest,
    ::testing::Values(
        Case{"start", Json::object()},
        Case{"biases", {{"biases", true}, {"scope", "PRUNE_BY_LAYER"}}},
        Case{"global", {{"scope", "PRUNE_GLOBALLY"}, {"output_rate", 0}}},
        Case{"rewound", {{"rewind_epoch", 1}}},
        Case{"framework_default", {{"reset", "RESET_TO_FRAMEWORK_DEFAULT"}}},
        Case{"moments_kept", {{"reset_optimizer", false}}},
        Case{"by_lot", {{"order", "BY_LOT"}}},
        Case{"fine_tuned", {{"reset", "RESET_NOTHING"}}}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace headstart::worker
