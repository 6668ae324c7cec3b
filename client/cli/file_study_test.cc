// Which study a run works on, with a scheduler that answers as scripted.
#include "client/cli/file_study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "client/cli/test_commands.h"
#include "tests/support/status_matchers.h"

namespace headstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

class FileStudyTest : public ::testing::Test {
 protected:
  FileStudyTest() : client_({.server = cluster_.address()}) {
    wanted_.set_display_name("mine");
  }

  // What the scheduler says of the study `number` from now on.
  void Serve(int number, v1::Study::State state = v1::Study::RUNNING,
             int64_t created_at = 1'800'000'000) {
    v1::Study study;
    study.set_name(absl::StrCat("studies/", number));
    study.set_state(state);
    study.mutable_create_time()->set_seconds(created_at);
    v1::CreateStudyResponse created;
    *created.mutable_study() = study;
    cluster_.Forget("CreateStudy");
    cluster_.Forget("GetStudy");
    cluster_.Answer("CreateStudy", created);
    cluster_.Answer("GetStudy", study);
  }

  // The study's name.
  absl::StatusOr<std::string> Find(bool start_anew = false) {
    Session session(Flags{.file = "s.yaml", .start_anew = start_anew},
                    {.out = &out_, .error = &out_}, Clock::Real());
    const auto study =
        FindOrCreateStudy(session, client_, wanted_, folder_.path());
    if (!study.ok()) return study.status();
    return study->name();
  }

  std::string Begin(const v1::Study& study, bool start_anew = false) {
    Session session(Flags{.file = "s.yaml", .start_anew = start_anew},
                    {.out = &out_, .error = &out_}, Clock::Real());
    return BeginText(session, client_, study, "/my data");
  }

  FakeCluster cluster_;
  const TempDir folder_;
  std::ostringstream out_;
  Client client_;
  v1::Study wanted_;
};

TEST_F(FileStudyTest, AsksForTheStudyOfAnEarlierRunByItsName) {
  Serve(7);
  ASSERT_THAT(Find(), IsOkAndHolds("studies/7"));
  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre(MatchesRegex("CreateStudy study . display_name: "
                                       "\"mine\" . request_id: "
                                       "\"run-[0-9a-f]+\"")));

  // As when the request id has been forgotten: nothing is created.
  cluster_.Forget("CreateStudy");
  EXPECT_THAT(Find(), IsOkAndHolds("studies/7"));
  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre("GetStudy name: \"studies/7\""));
}

TEST_F(FileStudyTest, AnotherFileIsAnotherStudy) {
  Serve(7);
  ASSERT_THAT(Find(), IsOkAndHolds("studies/7"));
  wanted_.set_seed(1);
  Serve(8);
  EXPECT_THAT(Find(), IsOkAndHolds("studies/8"));
}

TEST_F(FileStudyTest, NewStartsAnotherUnderANewRequestId) {
  Serve(7);
  ASSERT_THAT(Find(), IsOkAndHolds("studies/7"));
  cluster_.TakeCalls();
  Serve(8);

  EXPECT_THAT(Find(/*start_anew=*/true), IsOkAndHolds("studies/8"));
  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre(MatchesRegex("CreateStudy .*\"run-[0-9a-f]+-1\"")));
  EXPECT_THAT(Find(), IsOkAndHolds("studies/8"));
}

TEST_F(FileStudyTest, AKillBeforeTheNameIsWrittenLosesNoStudy) {
  cluster_.Fail("CreateStudy", absl::CancelledError("Ctrl-C"));
  EXPECT_THAT(Find(/*start_anew=*/true),
              StatusIs(absl::StatusCode::kCancelled, ""));
  const std::string first_create = cluster_.TakeCalls().at(0);

  Serve(7);
  EXPECT_THAT(Find(), IsOkAndHolds("studies/7"));
  EXPECT_EQ(cluster_.TakeCalls().at(0), first_create);
}

// As of a journal from a backup that is older than the data folder's runs.
TEST_F(FileStudyTest, AStudyOfTheSameNameButAnotherTimeIsNotTaken) {
  Serve(7);
  ASSERT_THAT(Find(), IsOkAndHolds("studies/7"));
  Serve(7, v1::Study::RUNNING, /*created_at=*/1'900'000'000);
  cluster_.TakeCalls();
  ASSERT_THAT(Find(), IsOkAndHolds("studies/7"));
  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre(HasSubstr("GetStudy"), HasSubstr("CreateStudy")));
}

TEST_F(FileStudyTest, AStudyThatCannotGoOnNamesNew) {
  for (const auto& [state, word] :
       {std::pair(v1::Study::CANCELLED, "is CANCELLED"),
        std::pair(v1::Study::FAILED, "is FAILED")}) {
    Serve(7, state);
    // By the name, and by the request id.
    for (int i = 0; i < 2; ++i) {
      const absl::Status status = Find().status();
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                   absl::StrCat(word, ".")));
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr("Add --new to start another."));
    }
  }
}

TEST_F(FileStudyTest, ADeletedStudyNamesNew) {
  // Created and gone, before its name was ever written.
  cluster_.Fail("CreateStudy", absl::AbortedError("studies/7 was deleted."));
  EXPECT_THAT(Find(), StatusIs(absl::StatusCode::kAborted,
                               "studies/7 was deleted. Add --new"));
  Serve(7);
  ASSERT_THAT(Find(), IsOkAndHolds("studies/7"));
  cluster_.Forget("GetStudy");
  cluster_.Fail("GetStudy", absl::NotFoundError("no studies/7"));
  EXPECT_THAT(Find(), StatusIs(absl::StatusCode::kNotFound,
                               "studies/7, the study of s.yaml, has been "
                               "deleted. Add --new"));
}

TEST_F(FileStudyTest, RefusesAFileOfRunsThatSaysSomethingElse) {
  Serve(7);
  ASSERT_THAT(Find(), IsOkAndHolds("studies/7"));
  const std::string file =
      std::filesystem::directory_iterator(folder_ / "runs")->path().string();
  cluster_.TakeCalls();
  for (const char* const wrong : {"", "x", "1 studies/7", "1 a b c"}) {
    ASSERT_OK(WriteFileAtomically(file, wrong));
    EXPECT_THAT(Find(), StatusIs(absl::StatusCode::kDataLoss, file)) << wrong;
  }
  EXPECT_THAT(cluster_.TakeCalls(), IsEmpty());
}

TEST_F(FileStudyTest, SaysWhatBecomesOfTheStudy) {
  v1::Study study = Text<v1::Study>(kStudy);
  v1::Training training = Text<v1::Training>(kTraining);
  cluster_.Answer("GetTraining", training);
  EXPECT_EQ(Begin(study),
            "studies/1 has been tuned before; --new starts another.");

  training.set_state(v1::Training::RUNNING);
  cluster_.Forget("GetTraining");
  cluster_.Answer("GetTraining", training);
  EXPECT_EQ(Begin(study),
            "studies/1 has been tuned; trainings/1 goes on. Ctrl-C stops; the "
            "same command goes on where it was.");

  study.set_state(v1::Study::RUNNING);
  EXPECT_EQ(Begin(study),
            "studies/1 goes on. Ctrl-C stops; the same command goes on where "
            "it was.");
  study.clear_recorded_epochs();
  EXPECT_EQ(Begin(study, /*start_anew=*/true),
            "studies/1 runs. Ctrl-C stops; the same command without --new "
            "goes on where it was.");

  study.set_state(v1::Study::PAUSED);
  EXPECT_EQ(Begin(study),
            "studies/1 is paused; \"headstart studies resume studies/1 --data "
            "'/my data'\" in another terminal lets it go on.");
}

TEST(CommandToGoOnTest, HasAllFlagsButNew) {
  EXPECT_EQ(CommandToGoOn({.file = "s.yaml"}),
            "headstart run s.yaml --data ./headstart-data");
  EXPECT_EQ(CommandToGoOn({.data = "/my data",
                           .quiet = true,
                           .file = "it's.yaml",
                           .datasets = {"/one", "/t wo"},
                           .slots = "cpu:4,cpu:4",
                           .metrics_ports = "auto",
                           .start_anew = true}),
            R"(headstart run 'it'\''s.yaml' --data '/my data' )"
            R"(--slots cpu:4,cpu:4 --datasets /one --datasets '/t wo' )"
            R"(--metrics-ports auto --quiet)");
}

}  // namespace
}  // namespace headstart::client
