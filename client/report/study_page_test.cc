#include "client/report/study_page.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/report/study_figures.h"
#include "client/report/study_trials.h"
#include "client/report/test_studies.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace headstart::client {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string PageOf(const v1::Study& study,
                   const std::vector<v1::Trial>& trials) {
  const absl::StatusOr<std::string> page = StudyPage(study, trials);
  EXPECT_THAT(page, IsOk());
  return page.value_or("");
}

TEST(StudyPageTest, SaysWhichTrialIsBestAndHowTheOthersEnded) {
  v1::Study study = MakeStudy();
  const std::vector<v1::Trial> trials = MakeTrials(&study, 27);
  const std::string page = PageOf(study, trials);

  const v1::Trial& best = *BestFirst(study, trials).front();
  EXPECT_THAT(page, HasSubstr(absl::StrCat("Best is ", TrialText(best),
                                           ": validation accuracy ")));
  EXPECT_THAT(page, HasSubstr("Of 27 trials, 3 reached the last epoch, 24 were "
                              "stopped early. Together they trained 63 epochs; "
                              "all of them to the end would be 243."));
  EXPECT_THAT(page, HasSubstr("learning_rate</abbr>"));
}

TEST(StudyPageTest, SaysHowImportanceWasFoundAndItsLimits) {
  v1::Study study = MakeStudy();
  const std::string page = PageOf(study, MakeTrials(&study, 27));

  EXPECT_THAT(page, HasSubstr("Spearman’s rank correlation"));
  EXPECT_THAT(page, HasSubstr("Kruskal and Wallis"));
  EXPECT_THAT(page,
              HasSubstr("27 trials ranked by the objective after epoch 1"));
  EXPECT_THAT(page, HasSubstr("Limits: "));
  EXPECT_THAT(page, HasSubstr("3 choices"));
}

TEST(StudyPageTest, NothingThatPeopleWriteBecomesMarkup) {
  constexpr char kHostile[] = "<script>alert('x')</script>";
  v1::Study study = MakeStudy();
  std::vector<v1::Trial> trials = MakeTrials(&study, 9);
  study.set_display_name(kHostile);
  study.set_state(v1::Study::FAILED);
  study.set_state_message(kHostile);
  study.mutable_search()->mutable_parameters(0)->set_path(kHostile);
  study.mutable_search()
      ->mutable_parameters(2)
      ->mutable_choice()
      ->add_values()
      ->set_string_value(kHostile);
  for (v1::Trial& trial : trials) {
    trial.set_name(kHostile);
    trial.mutable_failure()->set_message(kHostile);
    trial.mutable_values(2)->set_value("<img src=x>");
  }
  const std::string page = PageOf(study, trials);

  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;"));
}

TEST(StudyPageTest, AStudyWithoutTrialsIsAPage) {
  EXPECT_THAT(PageOf({}, {}), HasSubstr("No trial has been measured yet."));
  EXPECT_THAT(PageOf(MakeStudy(), {}), HasSubstr("<h1>LeNet on MNIST</h1>"));
}

TEST(StudyPageTest, TrialsThatHaveNotReportedYetAreAPage) {
  v1::Study study = MakeStudy();
  study.set_state(v1::Study::RUNNING);
  v1::Trial waiting;
  waiting.set_name("studies/7/trials/1");
  waiting.set_state(v1::Trial::WAITING);
  const std::string page = PageOf(study, {waiting});

  EXPECT_THAT(page, HasSubstr("still running"));
  EXPECT_THAT(page, HasSubstr("1 are waiting"));
}

TEST(StudyPageTest, OneTrialHasNoImportanceAndNoPaths) {
  v1::Study study = MakeStudy();
  const std::string page = PageOf(study, MakeTrials(&study, 1));

  EXPECT_THAT(page, HasSubstr("This takes at least 8 trials"));
  EXPECT_THAT(page, HasSubstr("This takes two trials"));
}

TEST(StudyPageTest, LossesOfAnySizeAreDrawn) {
  v1::Study study = MakeStudy();
  study.mutable_objective()->set_metric(v1::Objective::VALIDATION_LOSS);
  study.mutable_objective()->set_goal(v1::Objective::MINIMIZE);
  std::vector<v1::Trial> trials = MakeTrials(&study, 27);
  const std::vector<double> losses = {0.1, 1e30, 0, -1, 7, kInfinity, NAN};
  for (size_t i = 0; i < trials.size(); ++i) {
    for (v1::EpochRecord& record : *trials[i].mutable_epochs()) {
      record.mutable_measurement()->set_validation_loss(
          losses[i % losses.size()]);
    }
    trials[i].set_objective(losses[i % losses.size()]);
  }
  EXPECT_THAT(PageOf(study, trials), HasSubstr("validation loss"));
}

TEST(StudyPageTest, ManyTrialsStayASmallPage) {
  v1::Study study = MakeStudy();
  study.mutable_training()->set_epochs(81);
  const std::string page = PageOf(study, MakeTrials(&study, 3000));

  EXPECT_LT(page.size(), 3'000'000);
}

TEST(StudyPageTest, TheFileLeavesOutWhatTheSchedulerAdds) {
  v1::Study study = MakeStudy();
  MakeTrials(&study, 3);
  v1::Training& training = *study.add_then();
  training.set_name("trainings/1");
  training.mutable_from()->mutable_winner()->set_epoch(5);
  training.add_seeds(1);
  training.set_state(v1::Training::RUNNING);
  v1::Comparison& comparison = *study.add_then()->mutable_comparison();
  comparison.set_name("comparisons/1");
  comparison.add_seeds(2);
  study.mutable_trial_counts()->set_stopped(2);
  study.add_trainings("trainings/1");
  const std::string file = StudyFile(study);

  EXPECT_THAT(file,
              StartsWith("display_name: \"LeNet on MNIST\"\ntraining:\n"));
  EXPECT_THAT(file, HasSubstr(R"(then:
  - from:
      winner:
        epoch: 5
    seeds: [1]
  - comparison:
      seeds: [2]
)"));
  for (const char* added : {"state", "best_trial", "name: trainings",
                            "name: comparisons", "trial_counts", "time"}) {
    EXPECT_THAT(file, Not(HasSubstr(added)));
  }
}

TEST(StudyPageTest, CsvHasALinePerTrialAndPerEpoch) {
  v1::Study study = MakeStudy();
  const std::vector<v1::Trial> trials = MakeTrials(&study, 27);
  const std::vector<std::string> lines =
      absl::StrSplit(TrialsCsv(study, trials), '\n', absl::SkipEmpty());

  ASSERT_THAT(lines, SizeIs(28));
  EXPECT_EQ(lines[0],
            "trial,state,seed,epoch,objective,failure,"
            "optimizer.adam.learning_rate,batch_size,initializer");
  EXPECT_THAT(lines[1], StartsWith("studies/7/trials/1,"));
  EXPECT_THAT(lines[1], HasSubstr(",\"{\"\""));
  EXPECT_THAT(std::vector<std::string>(absl::StrSplit(TrialEpochsCsv(trials),
                                                      '\n', absl::SkipEmpty())),
              SizeIs(64));
}

// ----------------------------------------------------------------- trials

TEST(StudyTrialsTest, RungsAreThoseOfAsha) {
  EXPECT_THAT(RungsOf(MakeStudy()), ElementsAre(1, 3, 9));
  v1::Study study;
  study.mutable_training()->set_epochs(10);
  EXPECT_THAT(RungsOf(study), ElementsAre(10));
  study.mutable_search()->mutable_asha();
  EXPECT_THAT(RungsOf(study), ElementsAre(1, 4, 10));
  EXPECT_THAT(RungsOf({}), IsEmpty());
}

TEST(StudyTrialsTest, HigherRungsComeFirstUnlessTheObjectiveAloneDecides) {
  v1::Study study = MakeStudy();
  std::vector<v1::Trial> trials(3);
  trials[0].set_epoch(1);
  trials[0].set_objective(0.99);
  trials[1].set_epoch(9);
  trials[1].set_objective(0.5);
  trials[2].set_epoch(9);  // Has none yet.
  EXPECT_THAT(BestFirst(study, trials), ElementsAre(&trials[1], &trials[0]));

  study.mutable_objective()->set_rank(v1::Objective::OBJECTIVE_ONLY);
  EXPECT_THAT(BestFirst(study, trials), ElementsAre(&trials[0], &trials[1]));
  study.mutable_objective()->set_goal(v1::Objective::MINIMIZE);
  EXPECT_THAT(BestFirst(study, trials), ElementsAre(&trials[1], &trials[0]));
}

TEST(StudyTrialsTest, ValuesAreShortened) {
  EXPECT_EQ(ShortValue("0.0132412312"), "0.01324");
  EXPECT_EQ(ShortValue("65536"), "65536");
  EXPECT_EQ(ShortValue("{\"xavier_normal\":{}}"), "xavier_normal");
  EXPECT_EQ(ShortValue("{\"xavier_normal\":{\"gain\":2}}"),
            "{\"xavier_normal\":{\"gain\":2}}");
  EXPECT_EQ(ShortValue(std::string(27, 'a') + "äb"),
            std::string(27, 'a') + "…");
}

TEST(StudyTrialsTest, PathsAreAsShortAsTheyCanBe) {
  EXPECT_THAT(
      ShortPaths({"optimizer.adam.learning_rate", "batch_size",
                  "initializer.nio.learning_rate"}),
      ElementsAre("adam.learning_rate", "batch_size", "nio.learning_rate"));
  EXPECT_THAT(ShortPaths({"a.b", "b"}), ElementsAre("a.b", "b"));
  EXPECT_THAT(ShortPaths({"a", "a"}), ElementsAre("a", "a"));
}

// ---------------------------------------------------------------- figures

TEST(StudyFiguresTest, TheBestSoFarOnlyRises) {
  v1::Study study = MakeStudy();
  const Figure figure = ProgressFigure(study, MakeTrials(&study, 27));

  ASSERT_THAT(figure.panels, SizeIs(1));
  const Line& best = figure.panels[0].lines[1];
  EXPECT_EQ(best.name, "best so far");
  EXPECT_EQ(best.x.back(), 63);
  for (size_t i = 1; i < best.y.size(); ++i) {
    EXPECT_GE(best.y[i], best.y[i - 1]);
    EXPECT_GE(best.x[i], best.x[i - 1]);
  }
}

TEST(StudyFiguresTest, CurvesAreGroupedByRung) {
  v1::Study study = MakeStudy();
  const Figure figure = LearningCurvesFigure(study, MakeTrials(&study, 27));

  std::vector<std::string> names;
  for (const Line& line : figure.panels[0].lines) names.push_back(line.name);
  EXPECT_THAT(names, SizeIs(27));
  EXPECT_THAT(names, AllOf(Contains("reached epoch 1 (18 trials)").Times(18),
                           Contains("reached epoch 3 (6 trials)").Times(6),
                           Contains("reached epoch 9 (3 trials)").Times(3)));
}

TEST(StudyFiguresTest, EachValueHasItsPlaceOnItsAxis) {
  v1::Study study = MakeStudy();
  std::vector<v1::Trial> trials = MakeTrials(&study, 3);
  trials[0].mutable_values(0)->set_value("0.0001");
  trials[1].mutable_values(0)->set_value("0.1");
  trials[2].mutable_values(0)->set_value("0.0031622776601683795");
  for (int i = 0; i < 3; ++i) {
    trials[i].mutable_values(1)->set_value(absl::StrCat(32 << (2 * i)));
    trials[i].set_objective(0.9 - 0.1 * i);
    trials[i].set_epoch(9);
  }
  study.clear_best_trial();
  const Figure figure = ValuesFigure(study, trials, {});

  ASSERT_THAT(figure.panels, SizeIs(1));
  const Panel& panel = figure.panels[0];
  EXPECT_THAT(panel.x.categories,
              ElementsAre("learning_rate", "batch_size", "initializer",
                          "validation accuracy"));
  ASSERT_THAT(panel.lines, SizeIs(3));  // The best is last.
  EXPECT_EQ(panel.lines[2].name, "best tenth");
  EXPECT_NEAR(panel.lines[2].y[0], 0, 1e-9);
  EXPECT_NEAR(panel.lines[1].y[0], 1, 1e-9);
  EXPECT_NEAR(panel.lines[0].y[0], 0.5, 1e-9);
  EXPECT_THAT(panel.lines[1].y[1], 0.5);
  EXPECT_THAT(panel.lines[2].y[3], 1);
  EXPECT_THAT(panel.lines[0].y[3], 0);
}

TEST(StudyFiguresTest, WhatWentAstrayDoesNotSqueezeTheRest) {
  v1::Study study = MakeStudy();
  std::vector<v1::Trial> trials = MakeTrials(&study, 27);
  trials[0].mutable_epochs(0)->mutable_measurement()->set_validation_accuracy(
      0.01);
  const Figure figure = ProgressFigure(study, trials);

  ASSERT_TRUE(figure.panels[0].y.min.has_value());
  EXPECT_GT(*figure.panels[0].y.min, 30);
}

}  // namespace
}  // namespace headstart::client
