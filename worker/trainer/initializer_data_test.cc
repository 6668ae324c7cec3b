// Runs whose weights are learned before they are trained.
#include "worker/trainer/initializer_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "tests/support/status_matchers.h"
#include "worker/trainer/training_for_tests.h"

namespace headstart::worker {
namespace {

Json Nio() {
  return {{"iterations", 3},
          {"batch_size", 16},
          {"sub_batches", 2},
          {"overlap", 0.25},
          {"split", "BALANCED"},
          {"objective", "COSINE_AND_NORMS"},
          {"norm_weight", 1},
          {"learning_rate", 0.003},
          {"diagonal", false},
          {"norms", "SUM_OF_NORMS"},
          {"cap", "CAP_MEAN_NORM"},
          {"step", "RESCALE_ADAM"},
          {"min_weight_factor", 0.01},
          {"min_bias_factor", 0},
          {"gradient", "LAYERS_WITHOUT_BATCH_NORM"},
          {"batch_norm", "BATCH_STATISTICS"},
          {"scaled_names", "ENDING"}};
}

Json Start(const char* kind, const Json& fields) {
  return Spec(
      {{"initializer", {{"framework_default", nullptr}, {kind, fields}}}});
}

// A host that says stop after some questions.
class Impatient final : public Host {
 public:
  absl::StatusOr<std::optional<Assignment>> Next() override {
    return std::nullopt;
  }
  absl::Status Begin(const Started&) override { return absl::OkStatus(); }
  std::optional<int64_t> AcquireSlab() override { return std::nullopt; }
  Slab& slab(int64_t) override { std::abort(); }
  std::optional<StopMode> stop() const override {
    return ++asked_ > 2 ? std::optional(StopMode::kNow) : std::nullopt;
  }
  absl::Status Send(const TrainerMessage& message) override {
    if (const auto* paused = std::get_if<Paused>(&message)) {
      paused_epoch = paused->epoch;
    }
    return absl::OkStatus();
  }

  std::optional<int64_t> paused_epoch;

 private:
  mutable int asked_ = 0;
};

struct Case {
  const char* kind;
  Json fields;
};

class LearnedStartTest : public ::testing::TestWithParam<Case> {};

TEST_P(LearnedStartTest, ChangesTheFirstWeightsAndNothingElse) {
  const Json spec = Start(GetParam().kind, GetParam().fields);
  MemoryHost plain, learned, again;
  ASSERT_OK(RunOn(plain, Spec(Json::object()), 1));
  ASSERT_OK(RunOn(learned, spec, 1));
  ASSERT_OK(RunOn(again, spec, 1));

  EXPECT_EQ(learned.snapshots, again.snapshots);
  EXPECT_NE(learned.Weights(0), plain.Weights(0));
  const std::string& before = plain.snapshots.at(0);
  const std::string& after = learned.snapshots.at(0);
  for (const TableEntry& entry : plain.started.tensors) {
    if (entry.role == TensorRole::kParameter) continue;
    EXPECT_EQ(before.substr(entry.offset, entry.bytes),
              after.substr(entry.offset, entry.bytes))
        << entry.name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, LearnedStartTest,
                         ::testing::Values(Case{"nio", Nio()},
                                           Case{"lsuv",
                                                {{"batch_size", 16},
                                                 {"tolerance", 0.1},
                                                 {"max_attempts", 10},
                                                 {"orthogonal", true},
                                                 {"shift_bias", false}}},
                                           Case{"metainit",
                                                {{"iterations", 3},
                                                 {"batch_size", 8},
                                                 {"learning_rate", 0.1},
                                                 {"momentum", 0.9}}},
                                           Case{"gradinit",
                                                {{"iterations", 4},
                                                 {"half_batch", 8},
                                                 {"step", "GRADINIT_SGD"},
                                                 {"step_size", 0.1},
                                                 {"learning_rate", 0.01},
                                                 {"share_half", true},
                                                 {"min_weight_factor", 0.01},
                                                 {"min_bias_factor", 0}}}),
                         [](const auto& info) {
                           return std::string(info.param.kind);
                         });

TEST(InitializerDataTest, SaysWhatItMeasuredAndScaled) {
  MemoryHost host;
  ASSERT_OK(RunOn(host, Start("nio", Nio()), 1));
  ASSERT_EQ(host.started.initialization.size(), 2u);
  EXPECT_EQ(host.started.initialization[0].kind, "framework_default");
  const InitializationStep& nio = host.started.initialization[1];
  EXPECT_EQ(nio.kind, "nio");
  ASSERT_EQ(nio.scaled.size(), 8u);  // Weights and biases of four layers.
  for (const ScaledTensor& each : nio.scaled) {
    EXPECT_NEAR(each.factor, 1, 3 * 0.003 * 1.5) << each.name;
    EXPECT_NE(each.factor, 1) << each.name;
  }
  std::vector<std::string> names;
  for (const Series& each : nio.series) {
    names.push_back(each.name);
    EXPECT_EQ(each.values.size(), 3u) << each.name;
  }
  EXPECT_THAT(names, ::testing::ElementsAre("objective", "gradient_norm",
                                            "gradient_cosine",
                                            "gradient_variance", "constraint"));
}

TEST(InitializerDataTest, TakesNoBatchLargerThanTheData) {
  Json nio = Nio();
  nio["batch_size"] = 49;  // 48 less 16 are trained on.
  MemoryHost host;
  EXPECT_THAT(RunOn(host, Start("nio", nio), 1),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "takes batches of 49 examples, but there are"));
}

TEST(InitializerDataTest, StopsWhenTheHostSaysSo) {
  Json nio = Nio();
  nio["iterations"] = 100'000;
  Impatient host;
  DatasetReader datasets({});
  const Assignment assignment = {
      .assign = {.run = kRun,
                 .attempt = 1,
                 .training_json = Start("nio", nio).dump(),
                 .seed = 42,
                 .from_epoch = 0,
                 .until_epoch = 1},
      .source_memory = {}};
  ASSERT_OK(Train(assignment, datasets, Clock::Real(), host));
  EXPECT_EQ(host.paused_epoch, -1);
}

}  // namespace
}  // namespace headstart::worker
