// Comparisons: how arms unfold, what they inherit, how they end.
#include "scheduler/core/comparison.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/scheduler_world.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

double Loss(const v1::Assignment& work, int64_t epoch) {
  return static_cast<double>(work.seed() % 1000) / 1000 +
         1.0 / static_cast<double>(epoch + 1);
}

constexpr char kArms[] = R"(
  arms { label: "random" initializer { framework_default {} } }
  arms { epochs { number_value: 1 } epochs { string_value: "final" } }
  arms { initializer { xavier_normal {} } training { batch_size: 30 } }
  epochs: 4 seeds: [7, 8] metric: TEST_ACCURACY target_accuracy: 0.9)";

class ComparisonTest : public testing::Test {
 protected:
  // studies/1 has ended with `then`; its trials trained three epochs.
  void RunStudy(const std::string& then = "") {
    v1::Study study = SmallStudy("random { trial_count: 2 }", 3);
    study.MergeFrom(Parse<v1::Study>(then));
    world_.Do(CreateStudy{{}, study});
    v1::SynchronizeResponse answer = world_.Call("workers/a", 1);
    while (world_.scheduler().GetStudy("studies/1")->state() ==
           v1::Study::RUNNING) {
      answer = world_.Call(
          "workers/a", 1,
          {TestWorld::Trained(answer.assignments(0).assignment(), Loss)});
    }
    winner_ = world_.scheduler().GetStudy("studies/1")->best_trial();
  }
  v1::Comparison Get() {
    return *world_.scheduler().GetComparison("comparisons/1");
  }
  v1::Training Arm(int number) {
    return *world_.scheduler().GetTraining(absl::StrCat("trainings/", number));
  }
  absl::Status Refusal(const std::string& comparison) {
    return world_.Refusal(
        CreateComparison{{}, Parse<v1::Comparison>(comparison)});
  }
  // Storage has every source, and one worker trains all.
  void TrainAll() {
    for (const std::string& name : world_.scheduler().PreparingTrainings()) {
      world_.Do(SourceConfirmed{name});
    }
    world_.TrainAll(Loss);
  }

  TestWorld world_;
  std::string winner_;
};

TEST_F(ComparisonTest, UnfoldsItsArmsIntoTrainings) {
  RunStudy();

  EXPECT_EQ(world_.Do(CreateComparison{{},
                                       Parse<v1::Comparison>(absl::StrCat(
                                           "study: \"studies/1\" ", kArms))}),
            "comparisons/1");

  const v1::Comparison comparison = Get();
  EXPECT_EQ(comparison.state(), v1::Comparison::RUNNING);
  EXPECT_EQ(comparison.baseline(), "random");
  std::vector<std::string> labels;
  for (const v1::ComparisonArm& arm : comparison.arms()) {
    labels.push_back(arm.label());
  }
  EXPECT_THAT(labels,
              ElementsAre("random", "epoch 1", "final", "xavier_normal"));
  EXPECT_EQ(comparison.arms(2).source_checkpoint(), winner_ + "/epochs/3");

  const v1::TrainingSpec winner =
      world_.scheduler().GetTrial(winner_)->training();
  for (int arm = 1; arm <= 4; ++arm) {
    const v1::Training training = Arm(arm);
    EXPECT_EQ(comparison.arms(arm - 1).training_name(), training.name());
    EXPECT_EQ(training.arm_of(), "comparisons/1");
    EXPECT_THAT(training.seeds(), ElementsAre(7, 8));
    const v1::TrainingSpec& spec = training.resolved_training();
    EXPECT_EQ(spec.epochs(), 4);
    EXPECT_EQ(spec.evaluate(), v1::TEST_EVERY_EPOCH);
    EXPECT_EQ(spec.optimizer().adam().learning_rate(),
              winner.optimizer().adam().learning_rate());
    EXPECT_EQ(spec.batch_size(), arm == 4 ? 30 : winner.batch_size());
  }
  EXPECT_TRUE(Arm(1).resolved_training().initializer().has_framework_default());
  EXPECT_TRUE(Arm(4).resolved_training().initializer().has_xavier_normal());
  EXPECT_EQ(Arm(1).state(), v1::Training::RUNNING);
  EXPECT_EQ(Arm(2).state(), v1::Training::PREPARING);
  EXPECT_EQ(Arm(2).resolved_training().initializer().checkpoint().checkpoint(),
            winner_ + "/epochs/1");
  world_.ExpectReplayEqual();
}

TEST_F(ComparisonTest, IsWhatItsTrainingsAre) {
  RunStudy();
  world_.Do(CreateComparison{
      {}, Parse<v1::Comparison>(absl::StrCat("study: \"studies/1\" ", kArms))});
  const int64_t before = world_.scheduler().OwnerVersion("comparisons/1");
  EXPECT_THAT(world_.Refusal(DeleteComparison{{{}, "comparisons/1"}}),
              StatusIs(absl::StatusCode::kFailedPrecondition, "cancel it"));
  EXPECT_THAT(world_.Refusal(CancelTraining{{{}, "trainings/1"}}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "is an arm of comparisons/1. Cancel that"));

  TrainAll();

  EXPECT_GT(world_.scheduler().OwnerVersion("comparisons/1"), before);
  EXPECT_EQ(Get().state(), v1::Comparison::SUCCEEDED);
  EXPECT_EQ(Get().end_time().seconds(), Arm(4).end_time().seconds());
  EXPECT_THAT(world_.Refusal(DeleteTraining{{{}, "trainings/1"}}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "is an arm of comparisons/1"));
  world_.ExpectReplayEqual();

  world_.Do(DeleteComparison{{{}, "comparisons/1"}});
  EXPECT_TRUE(absl::IsNotFound(
      world_.scheduler().GetComparison("comparisons/1").status()));
  EXPECT_TRUE(
      absl::IsNotFound(world_.scheduler().GetTraining("trainings/3").status()));
  world_.Do(DeleteStudy{{{}, "studies/1"}});
  world_.ExpectReplayEqual();
}

TEST_F(ComparisonTest, CancelsAllArms) {
  RunStudy();
  world_.Do(CreateComparison{
      {}, Parse<v1::Comparison>(absl::StrCat("study: \"studies/1\" ", kArms))});
  world_.Do(CancelComparison{{{}, "comparisons/1"}});
  EXPECT_EQ(Get().state(), v1::Comparison::CANCELLED);
  for (int arm = 1; arm <= 4; ++arm) {
    EXPECT_EQ(Arm(arm).state(), v1::Training::CANCELLED);
  }
  world_.ExpectReplayEqual();
}

TEST_F(ComparisonTest, StartsWhenAStudyThatHoldsItHasAWinner) {
  RunStudy(absl::StrCat("then { comparison {", kArms,
                        "} } then { from { winner { epoch: 2 } } seeds: 1 }"));

  const v1::Study study = *world_.scheduler().GetStudy("studies/1");
  EXPECT_THAT(study.comparisons(), ElementsAre("comparisons/1"));
  EXPECT_THAT(study.trainings(),
              ElementsAre("trainings/1", "trainings/2", "trainings/3",
                          "trainings/4", "trainings/5"));
  EXPECT_TRUE(Get().started_by_study());
  EXPECT_EQ(Get().study(), "studies/1");
  EXPECT_EQ(Arm(3).source_checkpoint(), winner_ + "/epochs/3");
  EXPECT_EQ(Arm(5).arm_of(), "");
  TrainAll();
  EXPECT_EQ(Get().state(), v1::Comparison::SUCCEEDED);
  world_.ExpectReplayEqual();
}

// The winner is stopped before the epoch that an arm names; and what a person
// copied from an answer of the scheduler's names trainings that are not its.
TEST_F(ComparisonTest, SaysWhyItCannotStart) {
  v1::Study study = SmallStudy("random { trial_count: 1 }", 3);
  study.MergeFrom(Parse<v1::Study>(R"(
    training { early_stop { validation_accuracy: 0.1 } }
    then { comparison {
      arms { epochs { number_value: 3 } training_name: "nonsense" }
      arms { training_name: "trainings/7" }
      seeds: 1 metric: TEST_ACCURACY state: SUCCEEDED } })"));
  world_.Do(CreateStudy{{}, study});
  const v1::Assignment work =
      world_.Call("workers/a", 1).assignments(0).assignment();
  v1::AttemptStatus status = TestWorld::StatusOf(work, v1::Attempt::SUCCEEDED);
  *status.add_reports() = ReportOf(0, 0);
  *status.add_reports() = ReportOf(1, 0.5);  // Validation accuracy 0.5.
  world_.Call("workers/a", 1, {status});

  EXPECT_EQ(world_.scheduler().GetStudy("studies/1")->state(),
            v1::Study::SUCCEEDED);
  EXPECT_EQ(Get().state(), v1::Comparison::FAILED);
  EXPECT_THAT(Get().state_message(),
              HasSubstr("then[0].comparison.arms[0].epochs: must be whole "
                        "numbers from 0 to 1"));
  EXPECT_EQ(Get().arms(1).training_name(), "");
  world_.Do(CancelComparison{{{}, "comparisons/1"}});
  world_.ExpectReplayEqual();
  world_.Do(DeleteComparison{{{}, "comparisons/1"}});
  EXPECT_THAT(world_.scheduler().GetStudy("studies/1")->comparisons(),
              IsEmpty());
  world_.ExpectReplayEqual();
}

TEST_F(ComparisonTest, LetsAnArmBeginInStagesWhereTheOthersPrune) {
  RunStudy();
  world_.Do(CreateComparison{{}, Parse<v1::Comparison>(R"(
    study: "studies/1" epochs: 4 seeds: 1 metric: TEST_ACCURACY
    training { pruning { epochs_per_level: 2 } }
    arms { label: "pruned" }
    arms { label: "staged"
           training { stages { count: 2 shrink_perturb {} } } })")});
  EXPECT_TRUE(Arm(1).resolved_training().has_pruning());
  EXPECT_FALSE(Arm(2).resolved_training().has_pruning());
  EXPECT_EQ(Arm(2).resolved_training().stages().count(), 2);
}

TEST_F(ComparisonTest, ComparesInitializersWithoutAStudy) {
  const std::string common = R"(
    training { model { lenet_300_100 {} } dataset { mnist { validation_examples: 1000 } } epochs: 2 batch_size: 100
      optimizer { adam { learning_rate: 0.001 } } initializer { kaiming_normal {} } }
    seeds: 1 metric: VALIDATION_ACCURACY)";
  world_.Do(CreateComparison{
      {},
      Parse<v1::Comparison>(absl::StrCat(
          common, " arms {} arms { initializer { xavier_normal {} } }"))});
  EXPECT_EQ(Get().arms(0).label(), "arm 1");
  EXPECT_TRUE(Arm(1).resolved_training().initializer().has_kaiming_normal());
  world_.Call("workers/a", 1);
  TrainAll();
  EXPECT_EQ(Get().state(), v1::Comparison::SUCCEEDED);
}

TEST_F(ComparisonTest, RefusesWhatCannotBeCompared) {
  RunStudy();
  const auto with = [](const std::string& arms) {
    return absl::StrCat(
        "study: \"studies/1\" epochs: 4 seeds: 1 metric: TEST_ACCURACY ", arms);
  };
  const struct {
    std::string comparison;
    std::string message;
  } cases[] = {
      {with("arms { initializer { xavier_normal {} } }"),
       "arms: there must be 2 to 50, got 1"},
      {with("arms { epochs { number_value: 4 } } arms {}"),
       "arms[0].epochs: must be whole numbers from 0 to 3"},
      {with("arms { epochs { string_value: \"last\" } } arms {}"),
       "got \"last\""},
      {with("arms {} arms { epochs { number_value: 1 } initializer { "
            "xavier_normal {} } }"),
       "arms[1].initializer: must not be set together with epochs"},
      {with("arms { label: \"a\" } arms { label: \"a\" }"),
       "arms[1].label: two arms are called \"a\""},
      {with("arms { label: \"a\" epochs { number_value: 1 } epochs { "
            "number_value: 2 } }"),
       "arms[0].label: must be left out"},
      {with("baseline: \"b\" arms { label: \"a\" } arms {}"),
       "baseline: no arm is called \"b\"; there are \"a\", \"arm 2\""},
      {with("target_accuracy: 90 arms {} arms {}"),
       "target_accuracy: must be above 0 and at most 1"},
      {with("arms {} arms { training { evaluate: TEST_NEVER } }"),
       "arms[1].training.evaluate: is TEST_NEVER"},
      {with("arms {} arms { training { dataset { mnist { "
            "validation_examples: -1 } } } }"),
       "arms[1].training"},
      {"study: \"studies/1\" epochs: 4 seeds: 1 arms {} arms {}",
       "metric: must be set"},
      {"study: \"studies/1\" epochs: 4 metric: TEST_ACCURACY arms {} arms {}",
       "seeds: there must be 1 to 1,000, got 0"},
      {"study: \"studies/9\" seeds: 1 metric: TEST_ACCURACY arms {} arms {}",
       "study: There is no studies/9"},
      {"seeds: 1 metric: TEST_ACCURACY arms { epochs { number_value: 1 } } "
       "arms {}",
       "arms[0].epochs: are those of a study's winner"},
  };
  for (const auto& each : cases) {
    EXPECT_THAT(std::string(Refusal(each.comparison).message()),
                HasSubstr(each.message))
        << each.comparison;
  }
  EXPECT_THAT(world_.scheduler().ListComparisons({})->comparisons(), IsEmpty());

  EXPECT_THAT(world_.Refusal(CreateTraining{
                  {}, Parse<v1::Training>("seeds: 1 comparison { seeds: 1 }")}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "comparison: stands in a study's then only"));
  v1::Study study = SmallStudy("random { trial_count: 2 }", 3);
  *study.add_then()->mutable_comparison() =
      Parse<v1::Comparison>(absl::StrCat("study: \"studies/1\"", kArms));
  EXPECT_THAT(world_.Refusal(CreateStudy{{}, study}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "then[0].comparison.study: must be left out"));
  study.mutable_then(0)->mutable_comparison()->clear_study();
  study.mutable_then(0)
      ->mutable_comparison()
      ->mutable_arms(0)
      ->mutable_initializer()
      ->mutable_checkpoint()
      ->set_checkpoint("studies/9/trials/1/epochs/1");
  EXPECT_THAT(world_.Refusal(CreateStudy{{}, study}),
              StatusIs(absl::StatusCode::kNotFound,
                       "then[0].comparison.arms[0].initializer"));
  study.mutable_then(0)->add_seeds(1);
  EXPECT_THAT(world_.Refusal(CreateStudy{{}, study}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "then[0].comparison: must stand alone"));
}

TEST_F(ComparisonTest, TellsWhatIsWrongInAllArmsAsTheirs) {
  RunStudy();
  const auto with = [](const std::string& fields) {
    return Parse<v1::Comparison>(absl::StrCat(
        "epochs: 4 seeds: 1 arms {} arms { label: \"b\" } ", fields));
  };
  const struct {
    std::string fields;
    std::string error;
  } cases[] = {
      {"metric: TEST_ACCURACY training { evaluate: TEST_NEVER }",
       "training.evaluate: is TEST_NEVER"},
      {"metric: TEST_ACCURACY training { batch_size: -1 }",
       "training.batch_size: must be"},
      {"metric: VALIDATION_ACCURACY training { evaluate: TEST_EVERY_EPOCH "
       "dataset { mnist { validation_examples: 0 } } }",
       "training.dataset: has no validation split"},
  };
  for (const auto& each : cases) {
    v1::Comparison comparison = with(each.fields);
    v1::Study study = SmallStudy("random { trial_count: 2 }", 3);
    *study.add_then()->mutable_comparison() = comparison;
    EXPECT_THAT(std::string(world_.Refusal(CreateStudy{{}, study}).message()),
                StartsWith("then[0].comparison." + each.error));
    comparison.set_study("studies/1");
    EXPECT_THAT(
        std::string(world_.Refusal(CreateComparison{{}, comparison}).message()),
        StartsWith(each.error));
  }
}

TEST_F(ComparisonTest, HoldsWhatTheArmsOfAThenStartFrom) {
  RunStudy();
  v1::Study study = SmallStudy("random { trial_count: 2 }", 3);
  study.MergeFrom(Parse<v1::Study>(absl::StrCat(R"(
    then { comparison {
      arms { initializer { checkpoint {
               checkpoint: "studies/1/winner/epochs/2" } } })",
                                                kArms, "} }")));
  world_.Do(CreateStudy{{}, study});

  const auto wanted = world_.scheduler().GetWantedReferences("studies/2");
  std::vector<std::string> held;
  for (const v1::Reference& reference : wanted->references) {
    EXPECT_EQ(reference.reason(), v1::SOURCE_OF);
    held.push_back(reference.checkpoint());
  }
  EXPECT_THAT(held, ElementsAre(winner_ + "/epochs/2"));
  world_.ExpectReplayEqual();
}

}  // namespace
}  // namespace headstart::scheduler
