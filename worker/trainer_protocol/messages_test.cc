#include "worker/trainer_protocol/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "absl/strings/str_replace.h"
#include "base/random_stream.h"

namespace headstart::worker {
namespace {

using ::testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TensorTable SomeTable() {
  return *LayOut({{.name = "layers.0.weight", .shape = {300, 784}},
                  {.name = "count",
                   .dtype = DType::kI64,
                   .shape = {},
                   .role = TensorRole::kBuffer},
                  {.name = "optimizer.layers.0.weight.exp_avg",
                   .shape = {300, 784},
                   .role = TensorRole::kOptimizer},
                  {.name = "generator",
                   .dtype = DType::kU8,
                   .shape = {16},
                   .role = TensorRole::kState}});
}

std::vector<AgentMessage> AgentMessages() {
  const TensorTable table = SomeTable();
  return {
      Assign{.run = "studies/1/trials/3",
             .attempt = 2,
             .training_json = R"({"epochs":"9","batch_size":128})",
             .seed = std::numeric_limits<int64_t>::max(),
             .from_epoch = 5,
             .until_epoch = 9,
             .sources = {{.checkpoint = "studies/1/trials/3/epochs/5",
                          .role = SourceRole::kResume,
                          .bytes = SlabBytes(table),
                          .tensors = table}}},
      Slabs{.bytes = 4096},
      SlabFree{.slab = 2},
      Stop{.mode = StopMode::kAfterEpoch},
      Stop{.mode = StopMode::kNow},
      Exit{},
  };
}

std::vector<TrainerMessage> TrainerMessages() {
  const TensorTable table = SomeTable();
  return {
      Ready{.library = "libtorch 2.11.0",
            .device = "cpu x86-64 avx512",
            .threads = 2,
            .plugins = {{.kind = PluginKind::kModel,
                         .name = "mlp",
                         .version = "1",
                         .options_schema_json = "{}",
                         .file = "mlp.so"}},
            .refused_plugins = {{.file = "x.so", .message = "too old"}}},
      Started{.run = "trainings/2/runs/1",
              .attempt = 1,
              .slab_bytes = SlabBytes(table),
              .tensors = table,
              .effective = {.learning_rate = 0.0012,
                            .batch_size = 128,
                            .parameter_count = 266'610,
                            .training_examples = 55'000,
                            .validation_examples = 5'000,
                            .thread_count = 1},
              .model = "lenet_300_100",
              .input_transform = "pixel/255; mean 0.1307; std 0.3081",
              .initialization = {{.kind = "checkpoint", .loaded_tensors = 1},
                                 {.kind = "nio",
                                  .drawn_names = {"layers.4.weight"},
                                  .scaled = {{.name = "layers.0.weight",
                                              .factor = 1.25}},
                                  .series = {{.name = "objective",
                                              .stride = 2,
                                              .values = {-1.5, -kInfinity}}}}}},
      Initializing{.kind = "nio",
                   .iteration = 3,
                   .iterations = 100,
                   .values = {{.name = "objective", .value = -1.5}}},
      Step{.epoch = 3,
           .step = 17,
           .steps = 430,
           .training_loss = 0.25,
           .examples_per_second = 12'345.5},
      EpochDone{.epoch = 3,
                .measurement = {.training_loss = -kInfinity,
                                .validation_loss = kInfinity,
                                .validation_accuracy = 0.97},
                .seconds = {.train = 3.5,
                            .evaluate = 0.25,
                            .stall = 0.125,
                            .initialize = 2},
                .examples_per_second = 14'000,
                .peak_memory_bytes = 320'000'000},
      Snapshot{.epoch = 0, .slab = 2},
      Paused{.epoch = -1, .seconds = {.train = 0.5}},
      Finished{.epoch = 9, .seconds = {.snapshot = 0.25, .stall = 2}},
      Failed{.reason = FailureReason::kNonFiniteLoss,
             .message = "loss is NaN in epoch 3, batch 17"},
      Heartbeat{},
  };
}

TEST(MessagesTest, ReadsBackEveryMessageItWrites) {
  for (const AgentMessage& message : AgentMessages()) {
    const auto read = ParseAgentMessage(ToJson(message));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, message) << ToJson(message);
  }
  for (const TrainerMessage& message : TrainerMessages()) {
    const auto read = ParseTrainerMessage(ToJson(message));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, message) << ToJson(message);
  }
}

TEST(MessagesTest, ReadsIntegersInQuotesAndUnknownFields) {
  const auto read = ParseTrainerMessage(
      R"({"epoch":"12","mood":{"x":[]},"slab":"1","type":"snapshot"})");

  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(std::get<Snapshot>(*read), (Snapshot{.epoch = 12, .slab = 1}));
}

TEST(MessagesTest, TakesATrainerWithoutPlugins) {
  const auto read = ParseTrainerMessage(
      R"({"type":"ready","protocol":1,"library":"x","device":"y","threads":1})");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(std::get<Ready>(*read).plugins.empty());
}

TEST(MessagesTest, BoundsThePluginsOfATrainer) {
  Ready ready{.library = "x", .device = "y", .threads = 1};
  ready.refused_plugins.resize(kPluginsMax, {.file = "x.so", .message = "old"});
  EXPECT_TRUE(ParseTrainerMessage(ToJson(TrainerMessage(ready))).ok());

  ready.refused_plugins.push_back({.file = "y.so", .message = "old"});
  EXPECT_EQ(
      ParseTrainerMessage(ToJson(TrainerMessage(ready))).status().message(),
      "ready has 0 plugins and 101 refused_plugins; at most 100 of each "
      "are allowed");
}

TEST(MessagesTest, KeepsNotANumber) {
  EpochDone epoch{.epoch = 1};
  epoch.measurement.training_loss = kNaN;

  const std::string json = ToJson(TrainerMessage(epoch));

  EXPECT_THAT(json, HasSubstr(R"("training_loss":"NaN")"));
  const auto read = ParseTrainerMessage(json);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(
      std::isnan(*std::get<EpochDone>(*read).measurement.training_loss));
  EXPECT_FALSE(std::get<EpochDone>(*read).measurement.test_loss.has_value());
}

TEST(MessagesTest, ReplacesBytesThatAreNoText) {
  const std::string json =
      ToJson(TrainerMessage(Failed{.reason = FailureReason::kException,
                                   .message = "a\xff"
                                              "b\n"}));

  const auto read = ParseTrainerMessage(json);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(std::get<Failed>(*read).message,
            "a\xef\xbf\xbd"
            "b\n");
  EXPECT_EQ(json.find('\n'), json.npos);
}

TEST(MessagesTest, NamesTheFieldThatIsWrong) {
  const auto messages = TrainerMessages();
  const std::string started = ToJson(messages[1]);
  const std::string epoch = ToJson(messages[4]);
  const struct {
    std::string json;
    const char* says;
  } cases[] = {
      {"[]", "no JSON object"},
      {"{\"type\":\"ready\"", "no JSON object"},
      {"{}", "message.type is missing"},
      {R"({"type":7})", "message.type is no text"},
      {R"({"type":"hello"})", "no message of type \"hello\""},
      {R"({"type":"assign"})", "no message of type \"assign\""},
      {R"({"type":"snapshot","epoch":1})", "snapshot.slab is missing"},
      {R"({"type":"snapshot","epoch":1,"slab":-1})",
       "snapshot.slab is -1; at least 0"},
      {R"({"type":"snapshot","epoch":1.5,"slab":1})",
       "snapshot.epoch is 1.5, not an integer"},
      {R"({"type":"snapshot","epoch":9223372036854775808,"slab":1})",
       "snapshot.epoch is 9223372036854775808, not an integer of 64 bits"},
      {R"({"type":"snapshot","epoch":[1],"slab":1})",
       "snapshot.epoch is array"},
      {R"({"type":"failed","reason":"BAD_LUCK","message":""})",
       "failed.reason is \"BAD_LUCK\"; there are EXCEPTION"},
      {absl::StrReplaceAll(started, {{"\"F32\"", "\"F33\""}}),
       "started.tensors[0].dtype"},
      {absl::StrReplaceAll(started, {{"\"U8\"", "8"}}),
       "started.tensors[3].dtype is no text"},
      {absl::StrReplaceAll(started, {{"\"count\"", "\"generator\""}}), "twice"},
      {absl::StrReplaceAll(started, {{"[300,784]", "[300,785]"}}),
       "layers.0.weight"},
      {absl::StrReplaceAll(started, {{"[300,784]", "[300,\"x\"]"}}),
       "started.tensors[0].shape has \"x\""},
      {absl::StrReplaceAll(started, {{"\"batch_size\":128", "\"bs\":128"}}),
       "started.effective.batch_size is missing"},
      {absl::StrReplaceAll(started, {{"0.0012", "\"quick\""}}),
       "started.effective.learning_rate is \"quick\", not a number"},
      {absl::StrReplaceAll(epoch, {{"\"train\":3.5", "\"train\":-3.5"}}),
       "epoch.seconds"},
      {absl::StrReplaceAll(epoch, {{"0.97", "null"}}),
       "epoch.measurement.validation_accuracy is null"},
  };
  for (const auto& c : cases) {
    const auto read = ParseTrainerMessage(c.json);
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument)
        << c.json;
    EXPECT_THAT(read.status().message(), HasSubstr(c.says));
  }
}

TEST(MessagesTest, AsksForOneResumeSourceExactlyWhenResuming) {
  Assign resume = std::get<Assign>(AgentMessages()[0]);
  Assign without = resume;
  without.sources.clear();
  Assign twice = resume;
  twice.sources.push_back(resume.sources[0]);
  Assign fresh = resume;
  fresh.from_epoch = 0;
  Assign backwards = resume;
  backwards.until_epoch = 4;

  for (const Assign& bad : {without, twice, fresh, backwards}) {
    EXPECT_FALSE(ParseAgentMessage(ToJson(AgentMessage(bad))).ok());
  }
  fresh.sources[0].role = SourceRole::kInitializer;
  EXPECT_TRUE(ParseAgentMessage(ToJson(AgentMessage(fresh))).ok());
}

TEST(MessagesTest, RefusesANestingThatIsDeepWithoutCrashing) {
  std::string json = R"({"type":"snapshot","slab":0,"epoch":)";
  json += std::string(1'000'000, '[') + std::string(1'000'000, ']') + "}";

  EXPECT_FALSE(ParseTrainerMessage(json).ok());
}

// Cuts, flips, doubles and moves bytes of good messages. What is still read
// must be safe to use: writing it and reading it again gives the same.
TEST(MessagesTest, ReadsOrRefusesWhateverArrives) {
  RandomStream random = RandomStream(11).Child("mutations");
  const absl::string_view alphabet = "{}[]\",:0123456789.eE-+ntfu\\ \xff";
  std::vector<std::string> texts;
  for (const auto& message : TrainerMessages())
    texts.push_back(ToJson(message));
  for (const auto& message : AgentMessages()) texts.push_back(ToJson(message));
  int read_count = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string json = texts[random.UniformInt(texts.size())];
    const int64_t change_count = 1 + random.UniformInt(3);
    for (int64_t i = 0; i < change_count; ++i) {
      const size_t at = random.UniformInt(json.size());
      const size_t size = 1 + random.UniformInt(12);
      switch (random.UniformInt(4)) {
        case 0:
          json[at] = alphabet[random.UniformInt(alphabet.size())];
          break;
        case 1:
          json.erase(at, size);
          break;
        case 2:
          json.insert(at, json.substr(random.UniformInt(json.size()), size));
          break;
        case 3:
          json.resize(at + 1);
          break;
      }
      if (json.empty()) json = "{";
    }

    const auto trainer = ParseTrainerMessage(json);
    if (trainer.ok()) {
      ++read_count;
      const std::string again = ToJson(*trainer);
      const auto reread = ParseTrainerMessage(again);
      ASSERT_TRUE(reread.ok()) << json << reread.status();
      ASSERT_EQ(ToJson(*reread), again) << json;
    }
    const auto agent = ParseAgentMessage(json);
    if (agent.ok()) {
      ++read_count;
      const std::string again = ToJson(*agent);
      const auto reread = ParseAgentMessage(again);
      ASSERT_TRUE(reread.ok()) << json << reread.status();
      ASSERT_EQ(ToJson(*reread), again) << json;
    }
  }
  EXPECT_GT(read_count, 500);
}

}  // namespace
}  // namespace headstart::worker
