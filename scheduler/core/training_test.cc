// Trainings: their sources, what they inherit, how they end.
#include "scheduler/core/training.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/scheduler_world.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

double LossByTrial(const v1::Assignment& work, int64_t epoch) {
  return static_cast<double>(work.seed() % 1000) / 1000 +
         1.0 / static_cast<double>(epoch + 1);
}

class TrainingTest : public testing::Test {
 protected:
  // studies/1 has ended; its trials trained nine epochs with a cosine.
  void RunStudy(const std::string& then = "") {
    v1::Study study = SmallStudy("random { trial_count: 3 }", 9);
    study.mutable_training()->mutable_schedule()->mutable_cosine();
    if (!then.empty()) {
      study.MergeFrom(Parse<v1::Study>(then));
    }
    world_.Do(CreateStudy{{}, study});
    v1::SynchronizeResponse answer = world_.Call("workers/a", 1);
    while (world_.scheduler().GetStudy("studies/1")->state() ==
           v1::Study::RUNNING) {
      answer =
          world_.Call("workers/a", 1,
                      {TestWorld::Trained(answer.assignments(0).assignment(),
                                          LossByTrial)});
    }
    winner_ = world_.scheduler().GetStudy("studies/1")->best_trial();
  }
  v1::Training Get(const std::string& name = "trainings/1") {
    return *world_.scheduler().GetTraining(name);
  }
  absl::Status Refusal(const std::string& training) {
    return world_.Refusal(CreateTraining{{}, Parse<v1::Training>(training)});
  }

  TestWorld world_;
  std::string winner_;
};

TEST_F(TrainingTest, InheritsFromTheWinnerAndWaitsForItsSource) {
  RunStudy();

  world_.Do(CreateTraining{{}, Parse<v1::Training>(R"(
    from { winner { study: "studies/1" epoch: 5 } } epochs: 20
    seeds: [42, 43] keep_epochs: [10])")});

  v1::Training training = Get();
  EXPECT_EQ(training.state(), v1::Training::PREPARING);
  EXPECT_EQ(training.source_checkpoint(), winner_ + "/epochs/5");
  const v1::TrainingSpec& spec = training.resolved_training();
  const v1::TrainingSpec winner =
      world_.scheduler().GetTrial(winner_)->training();
  EXPECT_EQ(spec.initializer().checkpoint().checkpoint(),
            winner_ + "/epochs/5");
  EXPECT_EQ(spec.optimizer().adam().learning_rate(),
            winner.optimizer().adam().learning_rate());
  EXPECT_EQ(spec.epochs(), 20);
  // The cosine went over all of the study's epochs; it goes over all of these.
  EXPECT_EQ(spec.schedule().cosine().period_epochs(), 20);
  EXPECT_THAT(world_.scheduler().PreparingTrainings(),
              ElementsAre("trainings/1"));
  EXPECT_EQ(world_.Call("workers/a", 1).assignments_size(), 0);

  world_.Do(SourceConfirmed{"trainings/1"});
  EXPECT_EQ(Get().state(), v1::Training::RUNNING);
  EXPECT_THAT(world_.TrainAll(LossByTrial),
              ElementsAre("trainings/1/runs/1@20", "trainings/1/runs/2@20"));
  training = Get();
  EXPECT_EQ(training.state(), v1::Training::SUCCEEDED);
  EXPECT_EQ(training.runs(1).epoch(), 20);
  EXPECT_EQ(training.runs(1).seed(), 43);
  world_.ExpectReplayEqual();
}

TEST_F(TrainingTest, FailsWhenItsSourceIsGone) {
  RunStudy();
  world_.Do(CreateTraining{{}, Parse<v1::Training>(R"(
    from { checkpoint: "studies/1/trials/1/epochs/2" } seeds: 1)")});
  world_.Do(SourceMissing{"trainings/1", "It was collected."});
  EXPECT_EQ(Get().state(), v1::Training::FAILED);
  EXPECT_EQ(Get().state_message(), "It was collected.");
  EXPECT_EQ(Get().runs(0).state(), v1::TrainingRun::CANCELLED);
}

TEST_F(TrainingTest, StartsFromAnImportThatStorageAloneKnows) {
  const std::string spec = R"(training {
    model { lenet_300_100 {} } dataset { mnist { validation_examples: 1000 } } epochs: 2 batch_size: 100
    optimizer { adam { learning_rate: 0.001 } } %s } seeds: 1)";
  world_.Do(CreateTraining{{},
                           Parse<v1::Training>(absl::StrReplaceAll(
                               spec, {{"%s", R"(initializer { checkpoint {
                             checkpoint: "imports/net/epochs/0" } })"}}))});
  world_.Do(
      CreateTraining{{},
                     Parse<v1::Training>(absl::StrCat(
                         R"(from { checkpoint: "imports/net/epochs/0" } )",
                         absl::StrReplaceAll(spec, {{"%s", ""}})))});
  for (const char* name : {"trainings/1", "trainings/2"}) {
    EXPECT_EQ(Get(name).state(), v1::Training::PREPARING);
    EXPECT_EQ(Get(name).source_checkpoint(), "imports/net/epochs/0");
    EXPECT_EQ(
        Get(name).resolved_training().initializer().checkpoint().checkpoint(),
        "imports/net/epochs/0");
  }
  world_.Do(SourceConfirmed{"trainings/1"});
  EXPECT_THAT(world_.TrainAll(LossByTrial),
              ElementsAre("trainings/1/runs/1@2"));
  world_.Do(SourceMissing{"trainings/2", "It was collected."});
  EXPECT_EQ(Get("trainings/2").state(), v1::Training::FAILED);
  world_.ExpectReplayEqual();

  EXPECT_THAT(
      Refusal(R"(from { checkpoint: "imports/net/epochs/0" } seeds: 1)"),
      StatusIs(
          absl::StatusCode::kInvalidArgument,
          "training.model: must be set: imports/net/epochs/0 is imported"));
  EXPECT_THAT(
      Refusal(R"(from { checkpoint: "imports/net/epochs/1" } seeds: 1)"),
      StatusIs(absl::StatusCode::kNotFound, "epoch 0 only"));
}

TEST_F(TrainingTest, RefusesWhatCannotBe) {
  EXPECT_THAT(Refusal(R"(from { winner { study: "studies/1" } } seeds: 1)"),
              StatusIs(absl::StatusCode::kNotFound, "studies/1"));
  RunStudy();
  EXPECT_THAT(
      Refusal(R"(from { winner { study: "studies/1" epoch: 40 } } seeds: 1)"),
      StatusIs(absl::StatusCode::kNotFound, "there are 0 to 9"));
  EXPECT_THAT(Refusal(R"(from { checkpoint: "nonsense" } seeds: 1)"),
              StatusIs(absl::StatusCode::kInvalidArgument, "from"));
  EXPECT_THAT(Refusal(R"(from {} seeds: 1)"),
              StatusIs(absl::StatusCode::kInvalidArgument, "from"));
  EXPECT_THAT(Refusal(R"(from { winner { study: "studies/1" } })"),
              StatusIs(absl::StatusCode::kInvalidArgument, "seeds"));
  EXPECT_THAT(
      Refusal(R"(from { winner { study: "studies/1" } } seeds: [4, 4])"),
      StatusIs(absl::StatusCode::kInvalidArgument, "4 stands twice"));
  EXPECT_THAT(Refusal(R"(from { winner { study: "studies/1" } } seeds: 1
                         keep_epochs: 10)"),
              StatusIs(absl::StatusCode::kInvalidArgument, "keep_epochs"));
  EXPECT_THAT(Refusal(R"(from { winner { study: "studies/1" } } seeds: 1
                         training { model { small_cnn {} } })"),
              StatusIs(absl::StatusCode::kInvalidArgument, "training.model"));
  EXPECT_THAT(
      Refusal(R"(from { winner { study: "studies/1" } } seeds: 1
                 training { initializer { framework_default {} } })"),
      StatusIs(absl::StatusCode::kInvalidArgument, "training.initializer"));
  EXPECT_THAT(
      Refusal(R"(from { winner { study: "studies/1" } } seeds: 1 training {
                 dataset { mnist { validation_examples: 0 } } })"),
      StatusIs(absl::StatusCode::kInvalidArgument, "training.evaluate"));
  EXPECT_THAT(Refusal("seeds: 1"),
              StatusIs(absl::StatusCode::kInvalidArgument, "training.model"));
}

TEST_F(TrainingTest, TrainsOnEverythingWhenAsked) {
  RunStudy();
  world_.Do(CreateTraining{{}, Parse<v1::Training>(R"(
    from { winner { study: "studies/1" epoch: 0 } } seeds: 1 training {
      dataset { mnist { validation_examples: 0 } }
      evaluate: TEST_EVERY_EPOCH })")});
  EXPECT_EQ(Get().resolved_training().dataset().mnist().validation_examples(),
            0);
  EXPECT_EQ(Get().resolved_training().epochs(), 9);
}

TEST_F(TrainingTest, NeedsNoSourceWhenItIsComplete) {
  v1::Training training;
  *training.mutable_training() = SmallStudy("", 2).training();
  training.add_seeds(7);
  world_.Do(CreateTraining{{}, training});
  EXPECT_EQ(Get().state(), v1::Training::RUNNING);
  EXPECT_THAT(world_.TrainAll(LossByTrial),
              ElementsAre("trainings/1/runs/1@2"));
}

TEST_F(TrainingTest, StartsFromTheMeanOfSeveral) {
  RunStudy();
  v1::Training training;
  *training.mutable_training() = SmallStudy("", 2).training();
  *training.mutable_training()->mutable_initializer() =
      Parse<v1::Initializer>(R"(
    mean { checkpoints: ["studies/1/winner/epochs/5",
                         "studies/1/trials/3/epochs/9"] })");
  training.add_seeds(7);

  world_.Do(CreateTraining{{}, training});

  EXPECT_EQ(Get().state(), v1::Training::PREPARING);
  EXPECT_EQ(Get().source_checkpoint(), "");
  EXPECT_THAT(Get().state_message(),
              AllOf(HasSubstr(winner_ + "/epochs/5"),
                    HasSubstr("studies/1/trials/3/epochs/9")));
  EXPECT_THAT(
      Get().resolved_training().initializer().mean().checkpoints(),
      ElementsAre(winner_ + "/epochs/5", "studies/1/trials/3/epochs/9"));
  world_.Do(SourceConfirmed{"trainings/1"});
  EXPECT_THAT(world_.TrainAll(LossByTrial),
              ElementsAre("trainings/1/runs/1@2"));
  world_.ExpectReplayEqual();
}

// What a pruned run leaves out stays out in what starts from it.
TEST_F(TrainingTest, StartsFromAPrunedRunWithItsMasks) {
  RunStudy();
  world_.Do(CreateTraining{{}, Parse<v1::Training>(R"(
    from { winner { study: "studies/1" epoch: 0 } } epochs: 4 seeds: 1
    training { pruning { epochs_per_level: 2 } })")});
  world_.Do(SourceConfirmed{"trainings/1"});
  EXPECT_TRUE(Get().resolved_training().initializer().has_checkpoint());
  world_.TrainAll(LossByTrial);

  const char* const epoch = "trainings/1/runs/1/epochs/4";
  world_.Do(CreateTraining{{}, Parse<v1::Training>(R"(
    from { checkpoint: "trainings/1/runs/1/epochs/4" } seeds: 1)")});
  const v1::TrainingSpec inherited = Get("trainings/2").resolved_training();
  ASSERT_EQ(inherited.initializer().chain().steps_size(), 2);
  EXPECT_EQ(inherited.initializer().chain().steps(0).checkpoint().checkpoint(),
            epoch);
  EXPECT_EQ(inherited.initializer().chain().steps(1).mask().checkpoint(),
            epoch);
  EXPECT_EQ(Get("trainings/2").source_checkpoint(), epoch);
  EXPECT_TRUE(inherited.has_pruning());

  // Stages take pruning's place, and layer-wise ones the inherited count.
  world_.Do(CreateTraining{{}, Parse<v1::Training>(R"(
    from { winner { study: "studies/1" epoch: 0 } } epochs: 6 seeds: 1
    training { stages { count: 3 keep {} } })")});
  world_.Do(SourceConfirmed{"trainings/3"});
  world_.TrainAll(LossByTrial);
  world_.Do(CreateTraining{{}, Parse<v1::Training>(R"(
    from { checkpoint: "trainings/3/runs/1/epochs/6" } seeds: 1
    training { stages { layer_wise { blocks: 2 } } })")});
  EXPECT_FALSE(Get("trainings/4").resolved_training().stages().has_count());
  world_.Do(CreateTraining{{}, Parse<v1::Training>(R"(
    from { checkpoint: "trainings/3/runs/1/epochs/6" } seeds: 1
    training { pruning { epochs_per_level: 3 } })")});
  EXPECT_FALSE(Get("trainings/5").resolved_training().has_stages());
}

TEST_F(TrainingTest, RefusesTheMeanOfACheckpointAndItself) {
  RunStudy();
  v1::Training training;
  *training.mutable_training() = SmallStudy("", 2).training();
  auto& mean =
      *training.mutable_training()->mutable_initializer()->mutable_mean();
  mean.add_checkpoints("studies/1/winner/epochs/5");
  mean.add_checkpoints(winner_ + "/epochs/5");
  training.add_seeds(7);

  EXPECT_THAT(world_.Refusal(CreateTraining{{}, training}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "training.initializer.mean.checkpoints[1]: " + winner_ +
                           "/epochs/5 stands twice"));
}

TEST_F(TrainingTest, StartsWhatFollowsAStudy) {
  RunStudy(R"(
    then { from { winner { epoch: 5 } } epochs: 2 seeds: [1, 2] }
    then { from { checkpoint: "studies/1/trials/3/epochs/9" } seeds: 3 })");

  EXPECT_THAT(world_.scheduler().GetStudy("studies/1")->trainings(),
              ElementsAre("trainings/1", "trainings/2"));
  EXPECT_EQ(Get().source_checkpoint(), winner_ + "/epochs/5");
  EXPECT_EQ(Get().study(), "studies/1");
  EXPECT_EQ(Get("trainings/2").source_checkpoint(),
            "studies/1/trials/3/epochs/9");
  world_.ExpectReplayEqual();
}

TEST_F(TrainingTest, SaysWhyWhatFollowsCannotStart) {
  RunStudy(R"(then { from { checkpoint: "studies/9/trials/3/epochs/9" }
                     seeds: 3 })");
  EXPECT_EQ(Get().state(), v1::Training::FAILED);
  EXPECT_THAT(Get().state_message(), HasSubstr("studies/9"));
  world_.ExpectReplayEqual();
}

// A study whose winner stopped before the epoch that `then` names.
TEST_F(TrainingTest, SaysWhichEpochsAWinnerHas) {
  v1::Study study =
      SmallStudy("asha { trial_count: 2 min_epochs: 1 reduction: 3 }", 9);
  study.MergeFrom(
      Parse<v1::Study>("then { from { winner { epoch: 5 } } seeds: 1 }"));
  world_.Do(CreateStudy{{}, study});
  world_.TrainAll(LossByTrial);
  EXPECT_EQ(Get().state(), v1::Training::FAILED);
  EXPECT_THAT(Get().state_message(), HasSubstr("there are 0 to 1"));
}

TEST_F(TrainingTest, GuardsItsSource) {
  RunStudy();
  world_.Do(CreateTraining{{}, Parse<v1::Training>(R"(
    from { winner { study: "studies/1" epoch: 5 } } seeds: 1)")});
  EXPECT_THAT(world_.Refusal(DeleteStudy{{{}, "studies/1"}}),
              StatusIs(absl::StatusCode::kFailedPrecondition, "trainings/1"));
  EXPECT_THAT(world_.Refusal(DeleteTraining{{{}, "trainings/1"}}),
              StatusIs(absl::StatusCode::kFailedPrecondition, "PREPARING"));

  world_.Do(CancelTraining{{{}, "trainings/1"}});
  EXPECT_EQ(Get().state(), v1::Training::CANCELLED);
  world_.Do(CancelTraining{{{}, "trainings/1"}});
  world_.Do(DeleteTraining{{{}, "trainings/1"}});
  world_.Do(DeleteStudy{{{}, "studies/1"}});

  EXPECT_TRUE(world_.scheduler().GetWantedReferences("studies/1")->deleted);
  world_.ExpectReplayEqual();
}

TEST_F(TrainingTest, FailsWhenNoRunSucceeds) {
  v1::Training training;
  *training.mutable_training() = SmallStudy("", 2).training();
  training.add_seeds(7);
  world_.Do(CreateTraining{{}, training});
  const auto answer = world_.Call("workers/a", 1);
  v1::AttemptStatus status = TestWorld::StatusOf(
      answer.assignments(0).assignment(), v1::Attempt::FAILED);
  status.mutable_failure()->set_reason(v1::Failure::NON_FINITE_LOSS);

  world_.Call("workers/a", 1, {status});

  EXPECT_EQ(Get().runs(0).state(), v1::TrainingRun::INFEASIBLE);
  EXPECT_EQ(Get().state(), v1::Training::FAILED);
  EXPECT_THAT(Get().state_message(), HasSubstr("1 INFEASIBLE"));
}

TEST(BestEpochTest, PrefersValidationAccuracyAndIgnoresNan) {
  ::headstart::scheduler::Run run;
  const auto add = [&](double accuracy) {
    v1::EpochRecord& record = run.epochs.emplace_back();
    record.set_epoch(static_cast<int64_t>(run.epochs.size()) - 1);
    record.mutable_measurement()->set_validation_accuracy(accuracy);
  };
  add(0.99);  // Epoch 0 is not measured; whatever stands there is not best.
  EXPECT_EQ(Training::BestEpoch(run), std::nullopt);
  add(std::numeric_limits<double>::quiet_NaN());
  add(0.5);
  add(0.75);
  add(0.75);
  EXPECT_EQ(Training::BestEpoch(run), 3);
}

}  // namespace
}  // namespace headstart::scheduler
