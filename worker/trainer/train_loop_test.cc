// Whole assignments on a few real digits, with a host that keeps everything.
#include "worker/trainer/train_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"

#include "base/check.h"
#include "tests/support/process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/training_json.h"
#include "worker/trainer/runtime.h"
#include "worker/trainer/training_run.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Keeps messages and snapshots, and stops when told to. Holds every slab that
// it was sent until the trainer has no other, and then checks that nobody wrote
// to it.
class FakeHost final : public Host {
 public:
  explicit FakeHost(size_t slab_count = 3) : slab_count_(slab_count) {}
  ~FakeHost() override {
    while (!sent_.empty()) Free();
  }

  absl::StatusOr<std::optional<Assignment>> Next() override {
    return std::nullopt;
  }

  absl::Status Begin(const Started& message) override {
    started = message;
    for (size_t i = 0; i < slab_count_; ++i) {
      slabs_.push_back(Slab::Create(message.slab_bytes).value());
      free_.push_back(i);
    }
    return absl::OkStatus();
  }

  std::optional<int64_t> AcquireSlab() override {
    if (stop_mode == StopMode::kNow) return std::nullopt;
    if (free_.empty()) Free();
    const int64_t slab = free_.front();
    free_.pop_front();
    return slab;
  }

  Slab& slab(int64_t number) override { return slabs_[number]; }

  std::optional<StopMode> stop() const override {
    if (++stop_calls == stop_now_at_call) stop_mode = StopMode::kNow;
    return stop_mode;
  }

  absl::Status Send(const TrainerMessage& message) override {
    if (const auto* snapshot = std::get_if<Snapshot>(&message)) {
      const Slab& slab = slabs_[snapshot->slab];
      snapshots[snapshot->epoch] = std::string(slab.data(), slab.bytes());
      sent_.push_back(*snapshot);
      story.push_back(absl::StrCat("snapshot ", snapshot->epoch));
    } else if (const auto* epoch = std::get_if<EpochDone>(&message)) {
      epochs[epoch->epoch] = *epoch;
      story.push_back(absl::StrCat("epoch ", epoch->epoch));
    } else if (const auto* paused = std::get_if<Paused>(&message)) {
      story.push_back(absl::StrCat("paused ", paused->epoch));
    } else if (const auto* finished = std::get_if<Finished>(&message)) {
      story.push_back(absl::StrCat("finished ", finished->epoch));
      rest = finished->seconds;
    } else if (std::holds_alternative<Heartbeat>(message)) {
      story.push_back("heartbeat");
    }
    if (on_send) on_send();
    return send_status;
  }

  // The bytes of one tensor of one snapshot.
  std::string Tensor(int64_t epoch, const std::string& name) const {
    for (const TableEntry& entry : started.tensors) {
      if (entry.name == name) {
        return snapshots.at(epoch).substr(entry.offset, entry.bytes);
      }
    }
    ADD_FAILURE() << "no tensor " << name;
    return "";
  }

  Started started;
  std::map<int64_t, std::string> snapshots;
  std::map<int64_t, EpochDone> epochs;
  std::vector<std::string> story;
  PhaseSeconds rest;  // Those of `finished`.

  std::function<void()> on_send;
  absl::Status send_status;
  int stop_now_at_call = -1;
  mutable int stop_calls = 0;
  mutable std::optional<StopMode> stop_mode;

 private:
  void Free() {
    const auto [epoch, slab] = sent_.front();
    sent_.pop_front();
    EXPECT_EQ(std::memcmp(slabs_[slab].data(), snapshots.at(epoch).data(),
                          slabs_[slab].bytes()),
              0)
        << "epoch " << epoch << " was written to after it was sent";
    free_.push_back(slab);
  }

  const size_t slab_count_;
  std::vector<Slab> slabs_;
  std::deque<int64_t> free_;
  std::deque<Snapshot> sent_;
};

constexpr char kLenet[] = R"({"lenet_300_100": {}})";
constexpr char kSmallCnn[] = R"({"small_cnn": {}})";
constexpr char kResnet[] = R"({"cifar_resnet18": {}})";
constexpr char kSgd[] = R"({"sgd": {"learning_rate": 0.05, "momentum": 0,
    "nesterov": false, "weight_decay": 0}})";
constexpr char kNesterov[] = R"({"sgd": {"learning_rate": 0.02, "momentum": 0.9,
    "nesterov": true, "weight_decay": 0.0005}})";
constexpr char kAdam[] = R"({"adam": {"learning_rate": 0.001, "beta1": 0.9,
    "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0001}})";
constexpr char kAdamW[] = R"({"adamw": {"learning_rate": 0.001, "beta1": 0.9,
    "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.05}})";
constexpr char kConstant[] = R"({"constant": {}})";
constexpr char kCosine[] = R"({"cosine": {"step": "PER_STEP",
    "period_epochs": 10, "final_learning_rate": 0}})";
constexpr char kOneCycle[] = R"({"one_cycle": {"rise": 0.3,
    "start_divisor": 25, "final_divisor": 10000}})";
constexpr char kDefaultStart[] = R"({"framework_default": {}})";

struct SpecOptions {
  std::string model = kLenet;
  std::string optimizer = kAdam;
  std::string schedule = kCosine;
  std::string initializer = kDefaultStart;
  int64_t epochs = 3;
  int64_t batch_size = 16;
  int64_t train_examples = 200;
  int64_t validation_examples = 50;
  std::string evaluate = "TEST_NEVER";
};

std::string Spec(const SpecOptions& options) {
  const std::string written = absl::Substitute(
      R"({"model": $0,
          "dataset": {"mnist": {"validation_examples": $1,
                                "train_examples": $2, "split_seed": 1}},
          "epochs": $3, "batch_size": $4, "optimizer": $5,
          "schedule": $6, "initializer": $7, "evaluate": "$8"})",
      options.model, options.validation_examples, options.train_examples,
      options.epochs, options.batch_size, options.optimizer, options.schedule,
      options.initializer, options.evaluate);
  return CompleteTraining(nlohmann::json::parse(written)).dump();
}

Assignment Fresh(const std::string& spec, int64_t until_epoch,
                 int64_t seed = 42) {
  return {.assign = {.run = "studies/1/trials/1",
                     .attempt = 1,
                     .training_json = spec,
                     .seed = seed,
                     .from_epoch = 0,
                     .until_epoch = until_epoch},
          .source_memory = {}};
}

// Brings epoch `epoch` of what `host` kept.
void AddSource(const FakeHost& host, int64_t epoch, SourceRole role,
               Assignment& assignment) {
  const std::string& bytes = host.snapshots.at(epoch);
  Slab memory = Slab::Create(bytes.size()).value();
  std::memcpy(memory.data(), bytes.data(), bytes.size());
  assignment.assign.sources.push_back(
      {.checkpoint = absl::StrCat("studies/1/trials/1/epochs/", epoch),
       .role = role,
       .bytes = memory.bytes(),
       .tensors = host.started.tensors});
  assignment.source_memory.push_back(std::move(memory));
}

Assignment Resumed(const std::string& spec, const FakeHost& host,
                   int64_t from_epoch, int64_t until_epoch) {
  Assignment assignment = Fresh(spec, until_epoch);
  assignment.assign.from_epoch = from_epoch;
  AddSource(host, from_epoch, SourceRole::kResume, assignment);
  return assignment;
}

absl::Status RunOn(FakeHost& host, const Assignment& assignment,
                   Clock& clock = Clock::Real()) {
  static const bool set_up = (SetUpLibTorch(/*threads=*/1), true);
  static auto* const datasets =
      new DatasetReader({SourceFolder() + "/examples/data"});
  HS_CHECK(set_up);
  return Train(assignment, *datasets, clock, host);
}

TEST(TrainLoopTest, TellsItsStoryInOrder) {
  FakeHost host;

  ASSERT_OK(RunOn(host, Fresh(Spec({}), 2)));

  EXPECT_THAT(host.story,
              ElementsAre("epoch 0", "snapshot 0", "epoch 1", "snapshot 1",
                          "epoch 2", "snapshot 2", "finished 2"));
}

TEST(TrainLoopTest, MeasuresTheInitialStateOnRequest) {
  FakeHost plain, asked;
  ASSERT_OK(RunOn(plain, Fresh(Spec({.evaluate = "TEST_EVERY_EPOCH"}), 1)));
  nlohmann::json spec =
      nlohmann::json::parse(Spec({.evaluate = "TEST_EVERY_EPOCH"}));
  spec["evaluate_start"] = true;
  ASSERT_OK(RunOn(asked, Fresh(spec.dump(), 1)));

  EXPECT_EQ(plain.epochs.at(0).measurement, Measurement());
  const Measurement& start = asked.epochs.at(0).measurement;
  ASSERT_TRUE(start.validation_accuracy.has_value());
  ASSERT_TRUE(start.test_loss.has_value());
  EXPECT_FALSE(start.training_loss.has_value());
  EXPECT_GT(*start.test_loss, *asked.epochs.at(1).measurement.test_loss);
  // It changes nothing.
  EXPECT_EQ(plain.snapshots, asked.snapshots);
}

// Eleven seconds pass whenever somebody looks.
class RushingClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::UnixEpoch(); }
  absl::Duration Monotonic() const override {
    return elapsed += absl::Seconds(11);
  }
  bool WaitFor(absl::Duration, const StopEvent&) override { return false; }

  mutable absl::Duration elapsed;
};

TEST(TrainLoopTest, SaysThatItIsAtWorkWhileItEvaluates) {
  FakeHost host;
  RushingClock clock;

  ASSERT_OK(
      RunOn(host, Fresh(Spec({.evaluate = "TEST_EVERY_EPOCH"}), 1), clock));

  // Validation is one batch, the test set 40.
  EXPECT_EQ(std::count(host.story.begin(), host.story.end(), "heartbeat"), 41);
}

TEST(TrainLoopTest, CountsTheSecondsOfTheLastSnapshotToo) {
  FakeHost host;
  RushingClock clock;

  ASSERT_OK(RunOn(host, Fresh(Spec({}), 1), clock));

  // A wait for a slab and a move each, one message; and two looks before the
  // initializer begins.
  EXPECT_EQ(host.epochs.at(0).seconds,
            (PhaseSeconds{.snapshot = 11, .stall = 11, .initialize = 33}));
  EXPECT_EQ(host.epochs.at(1).seconds.snapshot, 22);
  EXPECT_EQ(host.epochs.at(1).seconds.stall, 11);
  EXPECT_EQ(host.rest, (PhaseSeconds{.snapshot = 11}));
}

TEST(TrainLoopTest, ReadsBackTheValuesInEffect) {
  FakeHost host;

  ASSERT_OK(RunOn(host, Fresh(Spec({.batch_size = 24}), 1)));

  EXPECT_EQ(host.started.run, "studies/1/trials/1");
  EXPECT_EQ(host.started.model, "lenet_300_100");
  EXPECT_EQ(host.started.input_transform, "pixel/255; mean 0.1307; std 0.3081");
  EXPECT_EQ(host.started.effective, (Effective{.learning_rate = 0.001,
                                               .batch_size = 24,
                                               .parameter_count = 266610,
                                               .training_examples = 150,
                                               .validation_examples = 50,
                                               .thread_count = 1}));
  ASSERT_EQ(host.started.initialization.size(), 1u);
  EXPECT_EQ(host.started.initialization[0].kind, "framework_default");
  EXPECT_EQ(host.started.initialization[0].loaded_tensors, 0);
  EXPECT_EQ(host.started.initialization[0].drawn_names.size(), 6u);
  EXPECT_OK(CheckTable(host.started.tensors, host.started.slab_bytes));
  std::vector<std::string> names;
  for (const TableEntry& entry : host.started.tensors) {
    names.push_back(entry.name);
  }
  EXPECT_EQ(names.size(), 6 + 12 + 1 + 2u);
  EXPECT_EQ(names[0], "layers.0.weight");
  EXPECT_EQ(names[6], "optimizer.layers.0.weight.exp_avg");
  EXPECT_EQ(names[18], "optimizer.step");
  EXPECT_EQ(names[19], "generator");
  EXPECT_EQ(names[20], "position");
}

TEST(TrainLoopTest, Learns) {
  FakeHost host;

  ASSERT_OK(RunOn(host, Fresh(Spec({.epochs = 2,
                                    .batch_size = 32,
                                    .train_examples = 6000,
                                    .validation_examples = 1000,
                                    .evaluate = "TEST_LAST_EPOCH"}),
                              2)));

  const Measurement& first = host.epochs.at(1).measurement;
  const Measurement& last = host.epochs.at(2).measurement;
  EXPECT_FALSE(first.test_accuracy.has_value());
  EXPECT_GT(last.validation_accuracy.value(), 0.9);
  EXPECT_GT(last.test_accuracy.value(), 0.9);
  EXPECT_LT(last.training_loss.value(), first.training_loss.value());
  EXPECT_LT(last.test_loss.value(), 0.4);
}

TEST(TrainLoopTest, MeasuresNothingWithoutASplitOrTest) {
  FakeHost host;

  ASSERT_OK(RunOn(host, Fresh(Spec({.validation_examples = 0}), 1)));

  EXPECT_TRUE(host.epochs.at(1).measurement.training_loss.has_value());
  EXPECT_FALSE(host.epochs.at(1).measurement.validation_loss.has_value());
  EXPECT_FALSE(host.epochs.at(1).measurement.test_loss.has_value());
}

class ResumeTest : public ::testing::TestWithParam<
                       std::tuple<const char*, const char*, const char*>> {};

TEST_P(ResumeTest, GoesOnBitForBitFromEveryEpoch) {
  const auto& [model, optimizer, schedule] = GetParam();
  const bool large = model == std::string(kResnet);
  const int64_t epochs = large ? 2 : 3;
  const std::string spec =
      Spec({.model = model,
            .optimizer = optimizer,
            .schedule = schedule,
            .batch_size = large ? 4 : 16,  // Five steps an epoch.
            .train_examples = large ? 20 : 70,
            .validation_examples = 10});
  FakeHost whole;
  ASSERT_OK(RunOn(whole, Fresh(spec, epochs)));

  for (int64_t from = 1; from < epochs; ++from) {
    at::randn({100});  // Another user of the process's generator.
    FakeHost resumed(/*slab_count=*/from);  // One: all steps are in place.

    ASSERT_OK(RunOn(resumed, Resumed(spec, whole, from, epochs)));

    EXPECT_FALSE(resumed.snapshots.contains(from));
    for (int64_t epoch = from + 1; epoch <= epochs; ++epoch) {
      EXPECT_TRUE(resumed.snapshots.at(epoch) == whole.snapshots.at(epoch))
          << "from " << from << " to " << epoch;
      EXPECT_EQ(resumed.epochs.at(epoch).measurement,
                whole.epochs.at(epoch).measurement);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ResumeTest,
    ::testing::Combine(::testing::Values(kLenet, kSmallCnn, kResnet),
                       ::testing::Values(kSgd, kNesterov, kAdam, kAdamW),
                       ::testing::Values(kConstant, kCosine, kOneCycle)));

TEST(TrainLoopTest, DependsOnTheSeedAlone) {
  FakeHost first;
  FakeHost again;
  FakeHost other;
  ASSERT_OK(RunOn(first, Fresh(Spec({}), 1, /*seed=*/5)));
  at::randn({100});
  ASSERT_OK(RunOn(again, Fresh(Spec({}), 1, /*seed=*/5)));
  ASSERT_OK(RunOn(other, Fresh(Spec({}), 1, /*seed=*/6)));

  EXPECT_TRUE(first.snapshots == again.snapshots);
  EXPECT_NE(first.Tensor(0, "layers.0.weight"),
            other.Tensor(0, "layers.0.weight"));
}

TEST(TrainLoopTest, StopsWithinABatch) {
  FakeHost host;
  host.stop_now_at_call = 30;  // In the third epoch: 10 batches and 3 more.

  ASSERT_OK(RunOn(host, Fresh(Spec({}), 3)));

  EXPECT_EQ(host.story.back(), "paused 2");
  EXPECT_FALSE(host.snapshots.contains(3));
}

TEST(TrainLoopTest, FinishesTheEpochWhenAskedTo) {
  FakeHost host;
  host.on_send = [&] { host.stop_mode = StopMode::kAfterEpoch; };

  ASSERT_OK(RunOn(host, Fresh(Spec({}), 3)));

  EXPECT_THAT(host.story, ElementsAre("epoch 0", "snapshot 0", "epoch 1",
                                      "snapshot 1", "paused 1"));
}

TEST(TrainLoopTest, HasFinishedWhenTheStopComesInTheLastEpoch) {
  FakeHost host;
  host.on_send = [&] { host.stop_mode = StopMode::kAfterEpoch; };

  ASSERT_OK(RunOn(host, Fresh(Spec({}), 1)));

  EXPECT_EQ(host.story.back(), "finished 1");
}

TEST(TrainLoopTest, PausesWhenNoSlabIsToBeHad) {
  FakeHost host;
  host.stop_mode = StopMode::kNow;

  ASSERT_OK(RunOn(host, Fresh(Spec({}), 1)));

  EXPECT_THAT(host.story, ElementsAre("paused 0"));
}

TEST(TrainLoopTest, EndsWhenTheHostIsGone) {
  FakeHost host;
  host.send_status = absl::UnavailableError("gone");

  EXPECT_THAT(RunOn(host, Fresh(Spec({}), 3)),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(host.story.size(), 1u);
}

TEST(TrainLoopTest, NamesEpochAndBatchOfANonFiniteLoss) {
  FakeHost host;
  const std::string optimizer =
      R"({"sgd": {"learning_rate": 1e30, "momentum": 0, "nesterov": false,
                  "weight_decay": 0}})";

  EXPECT_THAT(
      RunOn(host, Fresh(Spec({.optimizer = optimizer}), 3)),
      StatusIs(absl::StatusCode::kOutOfRange, "epoch 1, batch 2 of 10"));
  EXPECT_THAT(host.story, ElementsAre("epoch 0", "snapshot 0"));
}

TEST(TrainLoopTest, FindsWeightsThatTheLastBatchBroke) {
  FakeHost host;
  const std::string optimizer =
      R"({"sgd": {"learning_rate": 1e30, "momentum": 0, "nesterov": false,
                  "weight_decay": 0}})";

  EXPECT_THAT(
      RunOn(host, Fresh(Spec({.optimizer = optimizer, .batch_size = 150}), 3)),
      StatusIs(absl::StatusCode::kOutOfRange, "validation split"));
}

TEST(TrainLoopTest, RefusesABatchLargerThanTheData) {
  FakeHost host;

  EXPECT_THAT(RunOn(host, Fresh(Spec({.batch_size = 151}), 3)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "batch_size: must be at most the 150 training"));
}

TEST(TrainLoopTest, StartsFromACheckpoint) {
  FakeHost source;
  ASSERT_OK(RunOn(source, Fresh(Spec({.model = kSmallCnn}), 2)));
  const std::string start =
      R"({"checkpoint": {"checkpoint": "studies/1/trials/1/epochs/2",
                         "fresh_layers": [], "buffers": true}})";
  Assignment assignment =
      Fresh(Spec({.model = kSmallCnn, .initializer = start}), 1, /*seed=*/7);
  AddSource(source, 2, SourceRole::kInitializer, assignment);
  FakeHost host;

  ASSERT_OK(RunOn(host, assignment));

  ASSERT_EQ(host.started.initialization.size(), 1u);
  EXPECT_EQ(host.started.initialization[0].kind, "checkpoint");
  EXPECT_EQ(host.started.initialization[0].loaded_tensors, 20);
  EXPECT_THAT(host.started.initialization[0].drawn_names, IsEmpty());
  for (const TableEntry& entry : host.started.tensors) {
    if (entry.role == TensorRole::kParameter ||
        entry.role == TensorRole::kBuffer) {
      EXPECT_EQ(host.Tensor(0, entry.name), source.Tensor(2, entry.name))
          << entry.name;
    } else if (entry.role == TensorRole::kOptimizer) {
      EXPECT_EQ(host.Tensor(0, entry.name), std::string(entry.bytes, '\0'))
          << entry.name;
    }
  }
}

TEST(TrainLoopTest, RefusesACheckpointOfAnotherModel) {
  FakeHost source;
  ASSERT_OK(RunOn(source, Fresh(Spec({.model = kSmallCnn}), 1)));
  const std::string start =
      R"({"checkpoint": {"checkpoint": "studies/1/trials/1/epochs/1", "buffers": true}})";
  Assignment assignment = Fresh(Spec({.initializer = start}), 1);
  AddSource(source, 1, SourceRole::kInitializer, assignment);
  FakeHost host;

  EXPECT_THAT(RunOn(host, assignment),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "studies/1/trials/1/epochs/1 does not fit the model. It "
                       "lacks layers.0.weight"));
  EXPECT_THAT(host.story, IsEmpty());
}

TEST(TrainLoopTest, RefusesASourceThatDidNotCome) {
  FakeHost host;
  const std::string start =
      R"({"checkpoint": {"checkpoint": "studies/1/trials/1/epochs/1", "buffers": true}})";

  EXPECT_THAT(
      RunOn(host, Fresh(Spec({.initializer = start}), 1)),
      StatusIs(absl::StatusCode::kNotFound, "studies/1/trials/1/epochs/1"));

  Assignment resumed = Fresh(Spec({}), 2);
  resumed.assign.from_epoch = 1;
  EXPECT_THAT(RunOn(host, resumed),
              StatusIs(absl::StatusCode::kNotFound, "resume"));
}

TEST(TrainLoopTest, RefusesTheStateOfAnotherEpoch) {
  FakeHost source;
  ASSERT_OK(RunOn(source, Fresh(Spec({}), 2)));
  Assignment assignment = Resumed(Spec({}), source, 2, 3);
  assignment.assign.from_epoch = 1;
  FakeHost host;

  EXPECT_THAT(RunOn(host, assignment),
              StatusIs(absl::StatusCode::kFailedPrecondition, "epoch 2"));
}

TEST(TrainLoopTest, RefusesTheStateOfAnotherOptimizer) {
  FakeHost source;
  ASSERT_OK(RunOn(source, Fresh(Spec({}), 1)));
  FakeHost host;

  EXPECT_THAT(
      RunOn(host, Resumed(Spec({.optimizer = kNesterov}), source, 1, 2)),
      StatusIs(absl::StatusCode::kFailedPrecondition, "momentum_buffer"));
}

TEST(TrainLoopTest, RefusesEpochsOutsideTheSpec) {
  FakeHost host;

  EXPECT_THAT(RunOn(host, Fresh(Spec({}), 4)),
              StatusIs(absl::StatusCode::kInvalidArgument, "until_epoch"));
}

TEST(TrainLoopTest, NamesTheFieldOfASplitThatCannotBe) {
  FakeHost host;

  EXPECT_THAT(
      RunOn(host, Fresh(Spec({.validation_examples = 200}), 1)),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "dataset.mnist: validation_examples: 200 would take 20"));
}

TEST(CheckTensorsTest, RefusesWhatCannotBeTrained) {
  const at::Tensor tensor = at::zeros({2, 3});

  EXPECT_THAT(CheckTensors({{.name = "a", .tensor = tensor},
                            {.name = "b", .tensor = at::zeros({2, 3})}}),
              IsOk());
  EXPECT_THAT(CheckTensors({{.name = "a", .tensor = tensor.t()}}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "the model's a is not contiguous"));
  EXPECT_THAT(CheckTensors({{.name = "a", .tensor = tensor},
                            {.name = "b", .tensor = tensor}}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "the model's a and b are one tensor"));
}

}  // namespace
}  // namespace headstart::worker
