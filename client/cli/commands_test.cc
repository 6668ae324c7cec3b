// Each command: what it asks, its exit code, and what it says when it is used
// wrongly.
#include "client/cli/commands.h"

#include <gmock/gmock.h>
#include <google/protobuf/empty.pb.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "client/cli/session.h"
#include "client/cli/test_commands.h"
#include "tests/support/status_matchers.h"

namespace headstart::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

// A command that asks for one thing and is answered with one message.
struct Simple {
  std::string arguments;  // Separated by spaces.
  std::string method;
  std::string call;  // A regular expression.
};

TEST_F(CommandsTest, AsksForWhatTheFlagsSay) {
  const std::string id = " request_id: \"[0-9a-f]+\"";
  const std::vector<Simple> commands = {
      {"studies list", "ListStudies", "ListStudies page_size: 1000"},
      {"studies get studies/1", "GetStudy", "GetStudy name: \"studies/1\""},
      {"studies pause studies/1", "PauseStudy",
       "PauseStudy name: \"studies/1\"" + id},
      {"studies resume studies/1", "ResumeStudy",
       "ResumeStudy name: \"studies/1\"" + id},
      {"studies cancel studies/1", "CancelStudy",
       "CancelStudy name: \"studies/1\"" + id},
      {"studies delete studies/1", "DeleteStudy",
       "DeleteStudy name: \"studies/1\"" + id},
      {"studies replay studies/1", "ReplayStudy",
       "ReplayStudy name: \"studies/1\""},
      {"trials list studies/1 --best 5 --state TRAINING --format json",
       "ListTrials",
       "ListTrials parent: \"studies/1\" page_size: 1000 state: TRAINING "
       "best: 5"},
      {"trials get studies/1/winner", "GetTrial",
       "GetTrial name: \"studies/1/winner\""},
      {"trials explain studies/1/trials/2", "ExplainTrial",
       "ExplainTrial name: \"studies/1/trials/2\""},
      {"trials stop studies/1/trials/2", "StopTrial",
       "StopTrial name: \"studies/1/trials/2\"" + id},
      {"trials retry studies/1/trials/2", "RetryTrial",
       "RetryTrial name: \"studies/1/trials/2\"" + id},
      {"checkpoints list studies/1", "ListCheckpoints",
       "ListCheckpoints parent: \"studies/1\" page_size: 1000"},
      {"checkpoints get studies/1/trials/2/epochs/3", "GetCheckpoint",
       "GetCheckpoint name: \"studies/1/trials/2/epochs/3\""},
      {"checkpoints pin studies/1/trials/2/epochs/3 --reason mine",
       "PinCheckpoint",
       "PinCheckpoint name: \"studies/1/trials/2/epochs/3\" reason: \"mine\"" +
           id},
      {"checkpoints unpin studies/1/trials/2/epochs/3", "UnpinCheckpoint",
       "UnpinCheckpoint name: \"studies/1/trials/2/epochs/3\"" + id},
      {"checkpoints usage studies/1", "GetUsage",
       "GetUsage parent: \"studies/1\""},
      {"comparisons list", "ListComparisons",
       "ListComparisons page_size: 1000"},
      {"comparisons get comparisons/1", "GetComparison",
       "GetComparison name: \"comparisons/1\""},
      {"comparisons cancel comparisons/1", "CancelComparison",
       "CancelComparison name: \"comparisons/1\"" + id},
      {"comparisons delete comparisons/1", "DeleteComparison",
       "DeleteComparison name: \"comparisons/1\"" + id},
      {"comparisons report comparisons/1", "ReportComparison",
       "ReportComparison name: \"comparisons/1\""},
      {"trainings list", "ListTrainings", "ListTrainings page_size: 1000"},
      {"trainings get trainings/1", "GetTraining",
       "GetTraining name: \"trainings/1\""},
      {"trainings cancel trainings/1", "CancelTraining",
       "CancelTraining name: \"trainings/1\"" + id},
      {"trainings delete trainings/1", "DeleteTraining",
       "DeleteTraining name: \"trainings/1\"" + id},
      {"trainings create --from studies/1/winner/epochs/5 --epochs 20 "
       "--seeds 42,43",
       "CreateTraining",
       "CreateTraining training . from . winner . study: \"studies/1\" epoch: "
       "5 . . epochs: 20 seeds: 42 seeds: 43 ." +
           id},
      {"trainings create --from trainings/1/runs/1/epochs/2 --seeds 7 "
       "--dry-run",
       "CreateTraining",
       "CreateTraining training . from . checkpoint: "
       "\"trainings/1/runs/1/epochs/2\" . seeds: 7 ." +
           id + " validate_only: true"},
      {"workers list", "ListWorkers", "ListWorkers page_size: 1000"},
      {"workers cordon workers/a", "CordonWorker",
       "CordonWorker name: \"workers/a\"" + id},
      {"workers uncordon workers/a", "UncordonWorker",
       "UncordonWorker name: \"workers/a\"" + id},
      {"workers drain workers/a", "DrainWorker",
       "DrainWorker name: \"workers/a\"" + id},
      {"storage usage", "GetUsage", "GetUsage"},
  };
  for (const Simple& command : commands) {
    // An empty message serves as an answer of every type.
    cluster_.Answer(command.method, google::protobuf::Empty());
    const std::vector<std::string> arguments =
        absl::StrSplit(command.arguments, ' ');

    const Said said = Run(arguments);

    EXPECT_EQ(said.exit_code, 0) << command.arguments << "\n" << said.error;
    EXPECT_THAT(cluster_.TakeCalls(), ElementsAre(MatchesRegex(command.call)))
        << command.arguments;

    cluster_.Fail(command.method, absl::NotFoundError("there is no such one"));
    Run(arguments);  // The answer before is given once more.
    const Said refused = Run(arguments);
    EXPECT_EQ(refused.exit_code, 1) << command.arguments;
    EXPECT_EQ(refused.error, "headstart: NOT_FOUND: there is no such one\n")
        << command.arguments;
    EXPECT_EQ(refused.out, "");
    cluster_.Forget(command.method);
    cluster_.TakeCalls();
  }
}

TEST_F(CommandsTest, ReadsAllPages) {
  v1::ListStudiesResponse page;
  page.add_studies()->set_name("studies/1");
  page.set_next_page_token("more");
  cluster_.Answer("ListStudies", page);
  page.mutable_studies(0)->set_name("studies/2");
  page.clear_next_page_token();
  cluster_.Answer("ListStudies", page);

  const std::string rows = Json({"studies", "list"});

  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre("ListStudies page_size: 1000",
                          "ListStudies page_size: 1000 page_token: \"more\""));
  EXPECT_THAT(rows, AllOf(HasSubstr("studies/1"), HasSubstr("studies/2")));
}

TEST_F(CommandsTest, ResolvesTheWinnerBeforeItAsksStorage) {
  v1::Trial winner;
  winner.set_name("studies/1/trials/4");
  cluster_.Answer("GetTrial", winner);
  cluster_.Answer("GetCheckpoint", Text<v1::Checkpoint>(kCheckpoint));
  cluster_.Answer("ListCheckpoints", v1::ListCheckpointsResponse());

  Table({"checkpoints", "get", "studies/1/winner/epochs/5"});
  EXPECT_THAT(
      cluster_.TakeCalls(),
      ElementsAre("GetTrial name: \"studies/1/winner\"",
                  "GetCheckpoint name: \"studies/1/trials/4/epochs/5\""));
  Table({"checkpoints", "list", "studies/1/winner"});
  EXPECT_THAT(
      cluster_.TakeCalls(),
      ElementsAre("GetTrial name: \"studies/1/winner\"",
                  "ListCheckpoints parent: \"studies/1/trials/4\" page_size: "
                  "1000"));
}

TEST_F(CommandsTest, CreatesTheStudyOfAFileAndPrintsItsName) {
  const std::string file = folder_ / "s.yaml";
  ASSERT_OK(WriteFileAtomically(file, "display_name: mine\nseed: 3\n"));
  v1::CreateStudyResponse response;
  response.mutable_study()->set_name("studies/7");
  cluster_.Answer("CreateStudy", response);

  const Said said = Run({"studies", "create", "-f", file}, /*terminal=*/false);

  EXPECT_EQ(said.exit_code, 0);
  EXPECT_EQ(said.out, "studies/7\n");
  EXPECT_EQ(said.error, "");
  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre(MatchesRegex(
                  "CreateStudy study . display_name: \"mine\" seed: 3 . "
                  "request_id: \"[0-9a-f]+\"")));
  EXPECT_THAT(Json({"studies", "create", "-f", file}),
              StartsWith("{\"name\":\"studies/7\","));
}

TEST_F(CommandsTest, FlagsReplaceWhatATrainingFileSays) {
  const std::string file = folder_ / "t.yaml";
  ASSERT_OK(WriteFileAtomically(
      file,
      "display_name: mine\nfrom: {checkpoint: a}\nepochs: 3\n"
      "seeds: [1, 2]\n"));
  cluster_.Answer("CreateTraining", Text<v1::Training>(kTraining));

  const Said said = Run({"trainings", "create", "-f", file, "--seeds", "9",
                         "--from", "studies/1/winner/epochs/0"});

  EXPECT_EQ(said.out, "trainings/1\n");
  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre(StartsWith(
                  "CreateTraining training { display_name: \"mine\" from { "
                  "winner { study: \"studies/1\" } } epochs: 3 seeds: 9 }")));
}

TEST_F(CommandsTest, WatchesAStudyLineByLine) {
  v1::WatchStudyResponse update;
  *update.mutable_study() = Text<v1::Study>(kStudy);
  update.mutable_study()->clear_trainings();
  update.mutable_study()->set_state(v1::Study::RUNNING);
  update.mutable_study()->set_recorded_epochs(30);
  v1::WatchStudyResponse end = update;
  end.mutable_study()->set_state(v1::Study::SUCCEEDED);
  end.mutable_study()->add_trainings("trainings/1");
  cluster_.Stream("WatchStudy",
                  {update.SerializeAsString(), update.SerializeAsString(),
                   end.SerializeAsString()});
  v1::CreateStudyResponse plan;
  plan.mutable_plan()->set_trial_count(27);
  plan.mutable_plan()->set_epochs(63);
  cluster_.Answer("CreateStudy", plan);
  cluster_.Answer("GetTraining", Text<v1::Training>(kTraining));
  cluster_.Answer("GetStudy", end.study());
  cluster_.Answer("GetTrial", Text<v1::Trial>(kTrial));

  const Said said = Run({"studies", "watch", "studies/1"}, /*terminal=*/false);

  EXPECT_EQ(said.exit_code, 0);
  EXPECT_THAT(
      said.out,
      AllOf(StartsWith("studies/1:"), HasSubstr("\nwinner: "),
            EndsWith(absl::StrCat("headstart checkpoints download "
                                  "trainings/1/runs/1/epochs/10 --server ",
                                  cluster_.address(), " -o FILE\n"))));
  EXPECT_EQ(
      said.error,
      "studies/1: RUNNING\n"
      "studies/1: best so far studies/1/trials/4, validation accuracy "
      "97.88 % at epoch 9\n"
      "studies/1: trials 27 of 27 done (3 succeeded, 24 stopped); epochs "
      "30 of about 63\n"
      "studies/1: SUCCEEDED\n"
      "trainings/1: SUCCEEDED: 2 of 2 done, mean test accuracy 98.10 %\n");
  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre("WatchStudy name: \"studies/1\"",
                          HasSubstr("validate_only: true"),
                          "GetTraining name: \"trainings/1\"",
                          "GetStudy name: \"studies/1\"",
                          "GetTrial name: \"studies/1/trials/4\"",
                          "GetTraining name: \"trainings/1\""));
}

TEST_F(CommandsTest, DrawsAStudyInPlaceOnATerminal) {
  v1::WatchStudyResponse update;
  *update.mutable_study() = Text<v1::Study>(kStudy);
  update.mutable_study()->clear_trainings();
  *update.add_best_trials() = Text<v1::Trial>(kTrial);
  cluster_.Stream("WatchStudy",
                  {update.SerializeAsString(), update.SerializeAsString()});
  v1::GetUsageResponse usage;
  usage.set_live_bytes(92'100'000);
  cluster_.Answer("GetUsage", usage);
  cluster_.Answer("GetStudy", update.study());
  cluster_.Answer("GetTrial", Text<v1::Trial>(kTrial));

  const std::string lines =
      "studies/1  lenet  SUCCEEDED\n"
      "  trials  27 done (3 succeeded, 24 stopped)\n"
      "  epochs  63\n"
      "  best    studies/1/trials/4, validation accuracy 97.88 % at epoch 9\n"
      "          optimizer.adam.learning_rate=0.0012\n"  // Wrapped.
      "          initializer=xavier_normal\n"
      "  stored  92.1 MB\n";
  EXPECT_THAT(Table({"studies", "watch", "studies/1"}),
              StartsWith("\n" + lines + "\x1b[7A\r\x1b[J" + lines +
                         "\nstudies/1:        "));
}

// Trials that wait to be promoted are not done.
TEST_F(CommandsTest, DrawsWhatARunningStudyHasDoneOfItsPlan) {
  v1::WatchStudyResponse update;
  *update.mutable_study() = Text<v1::Study>(R"pb(
    name: "studies/1"
    state: RUNNING
    state_message: "no worker is ready; 1 trial waits for one with mnist, and so on"
    trial_counts { waiting: 1 training: 2 paused: 7 stopped: 9 failed: 1 }
    recorded_epochs: 31
    trainings: "trainings/1"
  )pb");
  v1::WatchStudyResponse end = update;
  end.mutable_study()->set_state(v1::Study::FAILED);
  cluster_.Stream("WatchStudy",
                  {update.SerializeAsString(), end.SerializeAsString()});
  v1::CreateStudyResponse plan;
  plan.mutable_plan()->set_trial_count(27);
  plan.mutable_plan()->set_epochs(63);
  cluster_.Answer("CreateStudy", plan);
  v1::Training training = Text<v1::Training>(kTraining);
  training.set_state(v1::Training::RUNNING);
  training.mutable_runs(1)->set_state(v1::TrainingRun::TRAINING);
  training.mutable_runs(1)->set_epoch(4);
  cluster_.Answer("GetTraining", training);

  EXPECT_THAT(Run({"studies", "watch", "studies/1"}).out,
              StartsWith("studies/1  RUNNING\n"
                         "          no worker is ready; 1 trial waits for one "
                         "with mnist, and\n"
                         "          so on\n"
                         "  trials  10 of 27 done (9 stopped, 1 failed), 2 "
                         "training, 7 paused,\n"
                         "          1 waiting\n"
                         "  epochs  45 of about 83\n"
                         "  best    none yet\n"
                         "trainings/1  RUNNING\n"
                         "  runs    1 of 2 done, seed 43 at epoch 4 of 10\n"));
}

TEST_F(CommandsTest, DrawsATrainingInPlaceOnATerminal) {
  v1::Training training = Text<v1::Training>(kTraining);
  training.set_state(v1::Training::RUNNING);
  training.mutable_runs(1)->set_state(v1::TrainingRun::TRAINING);
  training.mutable_runs(1)->set_epoch(4);
  cluster_.Stream("WatchTraining",
                  {training.SerializeAsString(),
                   Text<v1::Training>(kTraining).SerializeAsString()});
  v1::GetUsageResponse usage;
  usage.set_live_bytes(15'000'000);
  cluster_.Answer("GetUsage", usage);

  const std::string drawn = Table({"trainings", "watch", "trainings/1"});

  EXPECT_THAT(drawn, StartsWith("\n"
                                "trainings/1  RUNNING\n"
                                "  from    studies/1/trials/4/epochs/5\n"
                                "  epochs  14 of 20\n"
                                "  runs    1 of 2 done, seed 43 at epoch 4 of "
                                "10\n"
                                "  stored  15.0 MB\n"
                                "\x1b[5A\r\x1b[J"
                                "trainings/1  SUCCEEDED\n"));
  // What stays is what `trainings get` shows.
  cluster_.Answer("GetTraining", Text<v1::Training>(kTraining));
  EXPECT_EQ(drawn.substr(drawn.rfind("\x1b[J") + 3),
            Table({"trainings", "get", "trainings/1"}).substr(1));
  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre("WatchTraining name: \"trainings/1\"",
                          "GetUsage parent: \"trainings/1\"",
                          "GetUsage parent: \"trainings/1\"",
                          "GetTraining name: \"trainings/1\""));
}

TEST_F(CommandsTest, WatchesATrainingLineByLine) {
  v1::Training training = Text<v1::Training>(kTraining);
  training.set_state(v1::Training::RUNNING);
  training.mutable_runs(1)->set_state(v1::TrainingRun::TRAINING);
  training.mutable_runs(1)->set_epoch(4);
  const std::string before = training.SerializeAsString();
  training.mutable_runs(1)->set_epoch(5);  // No tenth of all epochs.
  const std::string same = training.SerializeAsString();
  training.mutable_runs(1)->set_epoch(6);
  cluster_.Stream("WatchTraining",
                  {before, same, training.SerializeAsString(),
                   Text<v1::Training>(kTraining).SerializeAsString()});

  const Said said =
      Run({"trainings", "watch", "trainings/1"}, /*terminal=*/false);

  EXPECT_EQ(said.exit_code, 0);
  EXPECT_EQ(said.out, "");
  EXPECT_THAT(said.error,
              StartsWith("trainings/1: RUNNING: 1 of 2 done, seed 43 at epoch "
                         "4 of 10; epochs 14 of 20\n"
                         "trainings/1: RUNNING: 1 of 2 done, seed 43 at epoch "
                         "6 of 10; epochs 16 of 20\n"
                         "trainings/1: SUCCEEDED: 2 of 2 done, mean test "
                         "accuracy 98.10 %; epochs 20\n"
                         "name:          trainings/1\n"));
}

TEST_F(CommandsTest, WatchingAFailedStudyEndsWith1) {
  v1::WatchStudyResponse update;
  update.mutable_study()->set_state(v1::Study::FAILED);
  update.mutable_study()->set_state_message("no trial can win");
  cluster_.Stream("WatchStudy", {update.SerializeAsString()});

  const Said said = Run({"studies", "watch", "studies/1", "--quiet"});

  EXPECT_EQ(said.exit_code, 1);
  EXPECT_EQ(said.error,
            "headstart: FAILED_PRECONDITION: studies/1 is FAILED: no trial can "
            "win\n");
}

TEST_F(CommandsTest, AReplayThatDiffersEndsWith1) {
  v1::ReplayStudyResponse replay;
  replay.set_decisions_count(30);
  replay.add_differences("trial 4: promoted before, not now");
  cluster_.Answer("ReplayStudy", replay);

  const Said said = Run({"studies", "replay", "studies/1"});

  EXPECT_EQ(said.exit_code, 1);
  EXPECT_EQ(said.out,
            "30 decisions taken again: 1 difference\n"
            "trial 4: promoted before, not now\n");
  EXPECT_THAT(said.error, HasSubstr("DATA_LOSS"));
}

TEST_F(CommandsTest, VerifyNamesDamageAndEndsWith1) {
  v1::VerifyStorageResponse progress;
  progress.set_checked_bytes(10);
  v1::VerifyStorageResponse end;
  end.set_checked_bytes(2000);
  end.set_blob_count(2);
  end.set_done(true);
  cluster_.Stream("VerifyStorage",
                  {progress.SerializeAsString(), end.SerializeAsString()});
  EXPECT_EQ(Table({"storage", "verify"}),
            "\n2 blobs, 2.00 kB: all as they were stored\n");

  v1::VerifyStorageResponse::Damage& damage = *end.add_damaged();
  damage.set_checkpoint("studies/1/trials/4/epochs/5");
  damage.set_tensor("layers.0.weight");
  damage.set_message("digest differs");
  cluster_.Forget("VerifyStorage");
  cluster_.Stream("VerifyStorage", {end.SerializeAsString()});
  const Said said = Run({"storage", "verify"});
  EXPECT_EQ(said.exit_code, 1);
  EXPECT_EQ(said.out,
            "2 blobs, 2.00 kB: some are damaged\n"
            "CHECKPOINT                   TENSOR           WHAT\n"
            "studies/1/trials/4/epochs/5  layers.0.weight  digest differs\n");
  EXPECT_THAT(said.error, HasSubstr("damaged: studies/1/trials/4/epochs/5."));
}

TEST_F(CommandsTest, CompactSaysWhatItFreed) {
  v1::CompactStorageResponse end;
  end.set_freed_bytes(5'000'000);
  end.set_packs_rewritten(1);
  end.set_checkpoints_forgotten(12);
  end.set_done(true);
  cluster_.Stream("CompactStorage", {end.SerializeAsString()});
  EXPECT_EQ(Table({"storage", "compact", "--dead-share-min", "0.25"}),
            "\nforgot 12 checkpoints, rewrote 1 pack, freed 5.00 MB\n");
  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre("CompactStorage dead_share_min: 0.25"));
}

TEST_F(CommandsTest, DownloadsToAFileAndNeverOverwrites) {
  cluster_.SetFile("the bytes", 4, 100);
  const std::string file = folder_ / "m.safetensors";
  const std::vector<std::string> command = {"checkpoints",
                                            "download",
                                            "studies/1/trials/4/epochs/5",
                                            "-o",
                                            file,
                                            "--include-buffers=false",
                                            "--include-masks"};

  const Said said = Run(command, /*terminal=*/false);
  EXPECT_EQ(said.exit_code, 0) << said.error;
  EXPECT_EQ(said.out, file + "\n");
  EXPECT_THAT(ReadFile(file), IsOkAndHolds("the bytes"));
  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre("DownloadCheckpoint name: "
                          "\"studies/1/trials/4/epochs/5\" exclude_buffers: "
                          "true include_masks: true"));

  cluster_.SetFile("other bytes", 4, 100);
  const Said again = Run(command);
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_EQ(again.error, absl::StrCat("headstart: ALREADY_EXISTS: ", file,
                                      " exists. Choose another name with -o, "
                                      "or overwrite it with --force.\n"));
  EXPECT_THAT(ReadFile(file), IsOkAndHolds("the bytes"));
  EXPECT_THAT(cluster_.TakeCalls(), IsEmpty());

  std::vector<std::string> forced = command;
  forced.push_back("--force");
  EXPECT_EQ(Run(forced).exit_code, 0);
  EXPECT_THAT(ReadFile(file), IsOkAndHolds("other bytes"));
}

TEST_F(CommandsTest, ADownloadThatFailsLeavesNothingBehind) {
  cluster_.Fail("DownloadCheckpoint", absl::DataLossError("layers.0.weight"));
  const Said said =
      Run({"checkpoints", "download", "studies/1/trials/4/epochs/5", "-o",
           folder_ / "m.safetensors"});
  EXPECT_EQ(said.exit_code, 1);
  EXPECT_EQ(said.error, "headstart: DATA_LOSS: layers.0.weight\n");
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

// Arguments that are wrong in themselves, and what the answer says.
TEST_F(CommandsTest, SaysHowItIsUsedWithExitCode2) {
  const std::string file = folder_ / "s.yaml";
  ASSERT_OK(WriteFileAtomically(file, "seeed: 1\n"));
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"", "A subcommand is required"},
      {"study list", "there is no command \"study\"; did you mean studies?"},
      {"studies lst",
       "there is no command \"studies lst\"; did you mean list?"},
      {"experiments list", "there is no command \"experiments\""},
      {"studies get", "STUDY is required"},
      {"studies create", "--file is required"},
      {"studies create -f " + file, file + ":1:1: seeed: Study has no field"},
      {"studies create -f /none.yaml", "/none.yaml: cannot be opened: No such"},
      {"studies list --format xml", "table,json"},
      {"trials list studies/1 --state DONE",
       "--state DONE: must be one of WAITING, TRAINING, PAUSED, SUCCEEDED, "
       "STOPPED, INFEASIBLE, FAILED, CANCELLED."},
      {"trials list studies/1 --best 0", "--best"},
      {"checkpoints pin studies/1/trials/1/epochs/1", "--reason is required"},
      {"trainings create --epochs 3", "say with --from which checkpoint"},
      {"trainings create --from x --seeds one", "--seeds"},
      {"studies list --data x --server y", "excludes"},
      {"run " + file, file + ":1:1: seeed: Study has no field"},
      {"up --slots 0", "--slots 0: must be a number from 1 to 64"},
      {"up --metrics-ports 70000", "--metrics-ports 70000: must be auto"},
      {"up --listen 8.8.8.8:7700", "--listen: "},
  };
  for (const auto& [arguments, answer] : wrong) {
    const Said said = Run(absl::StrSplit(arguments, ' ', absl::SkipEmpty()),
                          /*terminal=*/true, /*with_server=*/false);
    EXPECT_EQ(said.exit_code, 2) << arguments;
    EXPECT_THAT(said.error, StartsWith("headstart: ")) << arguments;
    EXPECT_THAT(said.error, HasSubstr(answer)) << arguments;
    EXPECT_EQ(said.out, "") << arguments;
  }
  EXPECT_THAT(cluster_.TakeCalls(), IsEmpty());
}

TEST_F(CommandsTest, HelpNamesTheCommandAndShowsAnExample) {
  const Said said = Run({"trials", "list", "--help"}, true, false);
  EXPECT_EQ(said.exit_code, 0);
  EXPECT_THAT(said.out,
              AllOf(HasSubstr("Usage: headstart trials list [OPTIONS] STUDY"),
                    HasSubstr("Example:  headstart trials list studies/1")));
  EXPECT_THAT(Run({"up", "--help"}, true, false).out,
              HasSubstr("cpu:4,cuda:0 (4 threads; the first GPU)"));
  EXPECT_EQ(Run({"--version"}, true, false).out, "headstart 0.1.0\n");
}

TEST(ClusterFlagsTest, NamesTheClusterUnlessItIsTheDefault) {
  EXPECT_EQ(ClusterFlags({}), "");
  EXPECT_EQ(ClusterFlags({.data = "/my data"}), " --data '/my data'");
  EXPECT_EQ(ClusterFlags({.server = "127.0.0.1:7700"}),
            " --server 127.0.0.1:7700");
}

TEST_F(CommandsTest, SaysThatNothingServesTheDataFolder) {
  const Said said = Run({"studies", "list", "--data", folder_.path()}, true,
                        /*with_server=*/false);
  EXPECT_EQ(said.exit_code, 1);
  EXPECT_THAT(said.error,
              AllOf(HasSubstr("NOT_FOUND"), HasSubstr(folder_.path()),
                    HasSubstr("headstart up")));
}

}  // namespace
}  // namespace headstart::client
