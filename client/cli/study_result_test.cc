#include "client/cli/study_result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "client/cli/test_commands.h"
#include "tests/support/status_matchers.h"

namespace headstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Both runs of kTraining, with what `merits` says as validation accuracy; below
// 0: not measured.
v1::Training TrainingWith(std::vector<double> merits) {
  v1::Training training = Text<v1::Training>(kTraining);
  for (size_t i = 0; i < merits.size(); ++i) {
    if (merits[i] < 0) continue;
    training.mutable_runs(i)
        ->mutable_epochs(0)
        ->mutable_measurement()
        ->set_validation_accuracy(merits[i]);
  }
  return training;
}

class StudyResultTest : public ::testing::Test {
 protected:
  StudyResultTest() : client_({.server = cluster_.address()}) {
    cluster_.Answer("GetStudy", Text<v1::Study>(kStudy));
    cluster_.Answer("GetTrial", Text<v1::Trial>(kTrial));
    cluster_.SetFile("the weights", 4, 100);
  }

  absl::Status Report() {
    out_.str("");
    Session session(Flags{.server = cluster_.address()},
                    {.out = &out_, .error = &error_}, Clock::Real());
    return ReportStudy(session, client_, "studies/1", folder_ / "results");
  }

  std::string FileOf(const std::string& name) {
    return folder_ / absl::StrCat("results/", name, ".safetensors");
  }

  FakeCluster cluster_;
  const TempDir folder_;
  std::ostringstream out_, error_;
  Client client_;
};

TEST_F(StudyResultTest, PrintsWinnerTrainingsAndWhereTheWeightsAre) {
  cluster_.Answer("GetTraining", TrainingWith({0.97, 0.975}));

  ASSERT_OK(Report());

  const std::string file = FileOf("trainings-1-runs-2-epochs-10");
  EXPECT_EQ(
      out_.str(),
      absl::StrCat(
          R"(studies/1:                       SUCCEEDED, 27 trials, 63 epochs, 1 min 40 s
winner:                          studies/1/trials/4
  optimizer.adam.learning_rate:  0.0012
  initializer:                   {"xavier_normal":{}}
  measured:                      validation accuracy 97.88 % at epoch 1
trainings/1:                     SUCCEEDED, 10 epochs from studies/1/trials/4/epochs/5
  seed 42:                       validation accuracy 97.00 %, test accuracy 98.00 % at epoch 10
  seed 43:                       validation accuracy 97.50 %, test accuracy 98.20 % at epoch 10
  all seeds:                     test accuracy: mean 98.10 %, standard deviation 0.14 % over 2 seeds
weights:                         trainings/1/runs/2/epochs/10
  are in:                        )",
          file, "\n"));
  EXPECT_THAT(ReadFile(file), IsOkAndHolds("the weights"));
}

TEST_F(StudyResultTest, DownloadsOnce) {
  cluster_.Answer("GetTraining", TrainingWith({0.97, 0.975}));
  ASSERT_OK(Report());
  const std::string first = out_.str();
  cluster_.TakeCalls();

  ASSERT_OK(Report());

  EXPECT_EQ(out_.str(), first);
  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre(HasSubstr("GetStudy"), HasSubstr("GetTrial"),
                          HasSubstr("GetTraining")));
}

TEST_F(StudyResultTest, TakesTheRunThatTheObjectivePrefers) {
  v1::Study study = Text<v1::Study>(kStudy);
  study.mutable_objective()->set_metric(v1::Objective::VALIDATION_LOSS);
  study.mutable_objective()->set_goal(v1::Objective::MINIMIZE);
  cluster_.Forget("GetStudy");
  cluster_.Answer("GetStudy", study);
  v1::Training training = Text<v1::Training>(kTraining);
  for (int i : {0, 1}) {
    training.mutable_runs(i)
        ->mutable_epochs(0)
        ->mutable_measurement()
        ->set_validation_loss(i == 0 ? 0.1 : 0.2);
  }
  cluster_.Answer("GetTraining", training);

  ASSERT_OK(Report());

  EXPECT_THAT(out_.str(), HasSubstr("trainings/1/runs/1/epochs/10"));
}

TEST_F(StudyResultTest, TakesTheFirstSeedWhenTheObjectiveIsNotMeasured) {
  cluster_.Answer("GetTraining", TrainingWith({-1, -1}));
  ASSERT_OK(Report());
  EXPECT_THAT(out_.str(), HasSubstr("trainings/1/runs/1/epochs/10"));
}

TEST_F(StudyResultTest, TakesTheWinnerWhenThereIsNoTraining) {
  v1::Study study = Text<v1::Study>(kStudy);
  study.clear_trainings();
  cluster_.Forget("GetStudy");
  cluster_.Answer("GetStudy", study);

  ASSERT_OK(Report());

  EXPECT_THAT(ReadFile(FileOf("studies-1-trials-4-epochs-1")), IsOk());
}

TEST_F(StudyResultTest, AFailedTrainingIsReportedAndIsAnError) {
  v1::Training training = Text<v1::Training>(kTraining);
  training.set_state(v1::Training::FAILED);
  training.set_state_message("no run SUCCEEDED");
  for (v1::TrainingRun& run : *training.mutable_runs()) {
    run.set_state(v1::TrainingRun::FAILED);
    run.mutable_failure()->set_message("out of memory");
  }
  cluster_.Answer("GetTraining", training);

  EXPECT_THAT(Report(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                 "trainings/1 is FAILED: no run SUCCEEDED"));
  EXPECT_THAT(out_.str(), HasSubstr("FAILED: out of memory"));
  EXPECT_THAT(out_.str(), HasSubstr("studies/1/trials/4/epochs/1"));
}

TEST_F(StudyResultTest, AStudyWithoutWinnerIsAnError) {
  v1::Study study = Text<v1::Study>(kStudy);
  study.set_state(v1::Study::FAILED);
  study.set_state_message("no trial can win");
  cluster_.Forget("GetStudy");
  cluster_.Answer("GetStudy", study);

  EXPECT_THAT(Report(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                 "studies/1 is FAILED: no trial can win"));
  EXPECT_EQ(out_.str(), "");
}

}  // namespace
}  // namespace headstart::client
