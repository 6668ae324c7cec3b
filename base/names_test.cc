#include "base/names.h"

#include <string>

#include "absl/container/flat_hash_set.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace headstart {
namespace {

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(NamesTest, WritesWhatItReads) {
  for (const char* text : {"studies/1", "studies/999999999999999999"}) {
    ASSERT_OK_AND_ASSIGN(const StudyName name, StudyName::Parse(text));
    EXPECT_EQ(name.ToString(), text);
  }
  for (const char* text : {"studies/7/trials/12", "trainings/3/runs/1",
                           "imports/a", "imports/0.resnet_50-v2"}) {
    ASSERT_OK_AND_ASSIGN(const RunName name, RunName::Parse(text));
    EXPECT_EQ(name.ToString(), text);
  }
  for (const char* text :
       {"studies/7/trials/12/epochs/0", "trainings/3/runs/1/epochs/40",
        "imports/resnet/epochs/0"}) {
    ASSERT_OK_AND_ASSIGN(const CheckpointName name,
                         CheckpointName::Parse(text));
    EXPECT_EQ(name.ToString(), text);
  }
  for (const char* text :
       {"studies/7/trials/12/epochs/5", "trainings/3/runs/1/epochs/5/resume"}) {
    ASSERT_OK_AND_ASSIGN(const ManifestName name, ManifestName::Parse(text));
    EXPECT_EQ(name.ToString(), text);
  }
  for (const char* text : {"studies/7/winner", "studies/7/winner/epochs/0"}) {
    ASSERT_OK_AND_ASSIGN(const WinnerName name, WinnerName::Parse(text));
    EXPECT_EQ(name.ToString(), text);
  }
  ASSERT_OK_AND_ASSIGN(const TrainingName training,
                       TrainingName::Parse("trainings/3"));
  EXPECT_EQ(training.ToString(), "trainings/3");
  ASSERT_OK_AND_ASSIGN(const ComparisonName comparison,
                       ComparisonName::Parse("comparisons/2"));
  EXPECT_EQ(comparison.ToString(), "comparisons/2");
  ASSERT_OK_AND_ASSIGN(const WorkerName worker,
                       WorkerName::Parse("workers/gpu-3.lab_2"));
  EXPECT_EQ(worker.ToString(), "workers/gpu-3.lab_2");
}

TEST(NamesTest, TakesNamesApart) {
  ASSERT_OK_AND_ASSIGN(
      const ManifestName name,
      ManifestName::Parse("studies/7/trials/12/epochs/5/resume"));
  EXPECT_TRUE(name.resume);
  EXPECT_EQ(name.checkpoint,
            (CheckpointName{.run = RunName::Trial(7, 12), .epoch = 5}));
  EXPECT_EQ(name.checkpoint.run.ParentString(), "studies/7");
  EXPECT_EQ(RunName::Parse("trainings/3/runs/2").value(),
            RunName::TrainingRun(3, 2));
  EXPECT_EQ(CheckpointName::Parse("imports/epochs/epochs/0").value().run,
            RunName::Import("epochs"));
  EXPECT_EQ(RunName::Import("a").ParentString(), "imports");
  EXPECT_EQ(WinnerName::Parse("studies/7/winner").value().epoch, std::nullopt);
  EXPECT_EQ(WinnerName::Parse("studies/7/winner/epochs/0").value().epoch, 0);
}

TEST(NamesTest, RefusesWhatIsNotWhollyAName) {
  for (const char* text :
       {"", "studies", "studies/", "studies/0", "studies/01", "studies/-1",
        "studies/+1", "studies/1/", "/studies/1", "studies/1x", "Studies/1",
        " studies/1", "studies/1 ", "trainings/1", "studies/winner",
        "studies/1000000000000000000", "studies/99999999999999999999999"}) {
    EXPECT_THAT(StudyName::Parse(text), StatusIs(kInvalid, "studies/{number}"))
        << text;
  }
  for (const char* text :
       {"studies/7", "studies/7/trials", "studies/7/trials/0",
        "studies/7/runs/1", "trainings/7/trials/1", "studies/0/trials/1",
        "studies/7/trials/1/epochs/1", "trainings/3/runs/1/"}) {
    EXPECT_THAT(RunName::Parse(text), StatusIs(kInvalid, "trials/{number}"))
        << text;
  }
  for (const char* text :
       {"studies/7/trials/1", "studies/7/trials/1/epochs/",
        "studies/7/trials/1/epochs/-1", "studies/7/trials/1/epochs/00",
        "studies/7/winner/epochs/1", "studies/7/trials/1/epochs/1/resume"}) {
    EXPECT_THAT(CheckpointName::Parse(text),
                StatusIs(kInvalid, "epochs/{number}"))
        << text;
  }
  EXPECT_THAT(ManifestName::Parse("studies/7/trials/1/epochs/1/resumed"),
              StatusIs(kInvalid, "/resume"));
  EXPECT_THAT(WinnerName::Parse("studies/7/winner/epochs"),
              StatusIs(kInvalid, "winner"));
}

TEST(NamesTest, NamesOfImportsHaveAFewCharactersAndABound) {
  EXPECT_OK(RunName::Parse("imports/" + std::string(64, 'a')));
  for (const std::string& text :
       {std::string("imports"), std::string("imports/"),
        std::string("imports/.a"), std::string("imports/-a"),
        std::string("imports/A"), std::string("imports/a b"),
        std::string("imports/a/b"), std::string("imports/\xc3\xa4"),
        std::string("importsa"), "imports/" + std::string(65, 'a')}) {
    EXPECT_THAT(RunName::Parse(text), StatusIs(kInvalid, "1 to 64 of a-z"))
        << text;
  }
}

TEST(NamesTest, ErrorNamesTheTextAndAnExample) {
  EXPECT_THAT(StudyName::Parse("study-7"), StatusIs(kInvalid, "\"study-7\""));
  EXPECT_THAT(StudyName::Parse("study-7"), StatusIs(kInvalid, "studies/7"));
}

TEST(NamesTest, WorkerIdsHaveAFewCharactersAndABound) {
  EXPECT_OK(WorkerName::Parse("workers/" + std::string(63, 'a')));
  EXPECT_THAT(WorkerName::Parse("workers/" + std::string(64, 'a')),
              StatusIs(kInvalid, "63"));
  for (const char* text :
       {"workers/", "workers/a/b", "workers/a b", "a", "workers/\xc3\xa4"}) {
    EXPECT_THAT(WorkerName::Parse(text), StatusIs(kInvalid)) << text;
  }
}

TEST(NamesTest, OrdersByNumberAndHashes) {
  EXPECT_LT(RunName::Trial(7, 2), RunName::Trial(7, 10));
  EXPECT_LT(RunName::Trial(9, 2), RunName::Trial(10, 1));

  absl::flat_hash_set<CheckpointName> names;
  names.insert({.run = RunName::Trial(7, 2), .epoch = 1});
  names.insert({.run = RunName::Trial(7, 2), .epoch = 1});
  names.insert({.run = RunName::TrainingRun(7, 2), .epoch = 1});
  names.insert({.run = RunName::Import("a"), .epoch = 0});
  names.insert({.run = RunName::Import("b"), .epoch = 0});
  EXPECT_EQ(names.size(), 4u);
}

}  // namespace
}  // namespace headstart
