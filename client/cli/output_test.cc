// What commands print for people and for programs, word by word.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/file.h"
#include "client/cli/test_commands.h"
#include "tests/support/status_matchers.h"

namespace headstart::client {
namespace {

using ::testing::HasSubstr;

using OutputTest = CommandsTest;

TEST_F(OutputTest, StudiesList) {
  v1::ListStudiesResponse response;
  *response.add_studies() = Text<v1::Study>(kStudy);
  response.add_studies()->set_name("studies/2");
  cluster_.Answer("ListStudies", response);

  EXPECT_EQ(Table({"studies", "list"}), R"(
NAME       STATE              TRIALS  EPOCHS  BEST TRIAL          OBJECTIVE  CREATED               DISPLAY NAME
studies/1  SUCCEEDED              27      63  studies/1/trials/4    97.88 %  2027-01-15 08:00:00Z  lenet
studies/2  STATE_UNSPECIFIED       0       0  -                           -  -
)");
  EXPECT_EQ(
      Json({"studies", "list"}),
      R"({"name":"studies/1","display_name":"lenet","search":{"parameters":[],"asha":{"trial_count":"27","min_epochs":"1","reduction":"3"}},"objective":{"metric":"VALIDATION_ACCURACY","goal":"MAXIMIZE","rank":"RANKING_UNSPECIFIED"},"seed":"0","then":[],"state":"SUCCEEDED","state_message":"","trial_counts":{"waiting":"0","training":"0","paused":"0","succeeded":"3","stopped":"24","infeasible":"0","failed":"0","cancelled":"0"},"recorded_epochs":"63","best_trial":"studies/1/trials/4","best_epoch":"9","trainings":["trainings/1"],"comparisons":[],"create_time":"2027-01-15T08:00:00Z","end_time":"2027-01-15T08:01:40Z","best_objective":0.9788}
{"name":"studies/2","display_name":"","seed":"0","then":[],"state":"STATE_UNSPECIFIED","state_message":"","recorded_epochs":"0","best_trial":"","best_epoch":"0","trainings":[],"comparisons":[]}
)");
}

TEST_F(OutputTest, StudiesGet) {
  v1::Study study = Text<v1::Study>(kStudy);
  study.set_state(v1::Study::FAILED);
  study.set_state_message("4 trials have FAILED, 3 are allowed");
  cluster_.Answer("GetStudy", study);

  EXPECT_EQ(Table({"studies", "get", "studies/1"}), R"(
name:                 studies/1
display name:         lenet
state:                FAILED
because:              4 trials have FAILED, 3 are allowed
search:               asha, 27 trials, from 1 epoch, one in 3 promoted
trials:               27: 3 succeeded, 24 stopped
epochs:               63
best trial:           studies/1/trials/4
validation accuracy:  97.88 % at epoch 9
trainings:            trainings/1
created:              2027-01-15 08:00:00Z
ended:                2027-01-15 08:01:40Z
)");
}

TEST_F(OutputTest, StudyPlan) {
  v1::CreateStudyResponse response;
  response.mutable_plan()->CopyFrom(Text<v1::StudyPlan>(R"pb(
    rungs { epochs: 1 trials: 27 }
    rungs { epochs: 3 trials: 9 }
    rungs { epochs: 9 trials: 3 }
    trial_count: 27
    epochs: 63
    bytes_max: 52000000
  )pb"));
  cluster_.Answer("CreateStudy", response);
  const std::string file = folder_ / "s.yaml";
  ASSERT_OK(WriteFileAtomically(file, "seed: 1\n"));

  EXPECT_EQ(Table({"studies", "create", "-f", file, "--dry-run"}), R"(
trials:                  27
epochs over all trials:  63
weights stored at most:  52.0 MB

RUNG EPOCHS  TRIALS AT MOST
          1              27
          3               9
          9               3
)");
  EXPECT_THAT(Json({"studies", "create", "-f", file, "--dry-run"}),
              HasSubstr(R"("trial_count":"27","epochs":"63")"));
}

TEST_F(OutputTest, TrialsList) {
  v1::ListTrialsResponse response;
  *response.add_trials() = Text<v1::Trial>(kTrial);
  v1::Trial* const young = response.add_trials();
  young->set_name("studies/1/trials/12");
  young->set_state(v1::Trial::WAITING);
  cluster_.Answer("ListTrials", response);
  cluster_.Answer("GetStudy", Text<v1::Study>(kStudy));

  EXPECT_EQ(Table({"trials", "list", "studies/1"}), R"(
NAME                 STATE      EPOCH  VALIDATION ACCURACY  optimizer.adam.learning_rate  initializer
studies/1/trials/4   SUCCEEDED      1              97.88 %  0.0012                        {"xavier_normal":{}}
studies/1/trials/12  WAITING        0                    -
)");
}

TEST_F(OutputTest, TrialsGet) {
  v1::Trial trial = Text<v1::Trial>(kTrial);
  trial.set_state(v1::Trial::FAILED);
  trial.mutable_failure()->set_reason(v1::Failure::SIGNAL);
  trial.mutable_failure()->set_message("killed by signal 9");
  trial.mutable_failure()->set_log_tail("epoch 2\n\x1b[31mred\n");
  cluster_.Answer("GetTrial", trial);

  EXPECT_EQ(Table({"trials", "get", "studies/1/trials/4"}), R"(
name:                          studies/1/trials/4
state:                         FAILED
failure:                       SIGNAL: killed by signal 9
optimizer.adam.learning_rate:  0.0012
initializer:                   {"xavier_normal":{}}
seed:                          77
epoch:                         1
objective:                     0.9788
created:                       2027-01-15 08:00:00Z
ended:                         -

EPOCH  TRAINING LOSS  TRAINING ACCURACY  VALIDATION LOSS  VALIDATION ACCURACY  TEST LOSS  TEST ACCURACY   TIME  EXAMPLES/S  MEMORY
    0              -                  -                -                    -          -              -      -           -       -
    1           0.25            92.50 %              0.1              97.88 %          -              -  4.2 s       12345  320 MB

ATTEMPT  STATE      WORKER         SLOT   EPOCHS  STARTED               ENDED                 FAILURE
      1  SUCCEEDED  workers/local  cpu:0  0 to 1  2027-01-15 08:00:00Z  2027-01-15 08:00:05Z  -

last log lines:
  epoch 2
  ?[31mred
)");
}

TEST_F(OutputTest, ShowsHowFarAnEpochIs) {
  v1::Trial trial = Text<v1::Trial>(kTrial);
  v1::Attempt::Progress& progress =
      *trial.mutable_attempts(0)->mutable_progress();
  progress.set_epoch(2);
  progress.set_share(0.374);
  cluster_.Answer("GetTrial", trial);
  EXPECT_THAT(Table({"trials", "get", "studies/1/trials/4"}),
              HasSubstr(" 1 (epoch 2 at 37 %)\n"));

  v1::Training training = Text<v1::Training>(kTraining);
  progress.set_activity("nio 18 of 60: objective -2.8, gradient_norm 1.1");
  *training.mutable_runs(1)->add_attempts()->mutable_progress() = progress;
  cluster_.Answer("GetTraining", training);
  EXPECT_THAT(Table({"trainings", "get", "trainings/1"}),
              HasSubstr("  10 (nio 18 of 60)  "));
}

TEST_F(OutputTest, TrialsExplain) {
  cluster_.Answer("ExplainTrial", Text<v1::ExplainTrialResponse>(R"pb(
                    decisions {
                      kind: STARTED
                      until_epoch: 1
                      rule_version: "asha-promotion/1"
                      text: "drawn at random"
                      decide_time { seconds: 1800000000 }
                    }
                    decisions {
                      kind: PROMOTED
                      rung_epochs: 1
                      rank: 1
                      rung_size: 3
                      rule_version: "asha-promotion/1"
                      text: "rank 1 of 3 is within floor(3 / 3)"
                      decide_time { seconds: 1800000001 }
                    }
                    now: "trains to epoch 3"
                  )pb"));

  EXPECT_EQ(Table({"trials", "explain", "studies/1/trials/4"}), R"(
TIME                  DECISION  RUNG  RANK  OF  BY                WHY
2027-01-15 08:00:00Z  STARTED      0     -   -  asha-promotion/1  drawn at random
2027-01-15 08:00:01Z  PROMOTED     1     1   3  asha-promotion/1  rank 1 of 3 is within floor(3 / 3)

now:  trains to epoch 3
)");
}

TEST_F(OutputTest, CheckpointsList) {
  v1::ListCheckpointsResponse response;
  *response.add_checkpoints() = Text<v1::Checkpoint>(kCheckpoint);
  cluster_.Answer("ListCheckpoints", response);

  EXPECT_EQ(Table({"checkpoints", "list"}), R"(
NAME                         WEIGHTS  RESUME  VALIDATION ACCURACY  TEST ACCURACY  KEPT AS
studies/1/trials/4/epochs/5  1.07 MB       -              97.00 %              -  BEST_TRIAL of studies/1 (rank 1), PINNED (for the paper)
)");
  EXPECT_EQ(
      Json({"checkpoints", "list"}),
      R"({"name":"studies/1/trials/4/epochs/5","run":"studies/1/trials/4","epoch":"5","manifest_digest":"AQI=","measurement":{"survivors":[],"validation_accuracy":0.97},"tensor_bytes":"1066440","tensor_count":"6","resume_bytes":"0","references":[{"checkpoint":"","owner":"studies/1","reason":"BEST_TRIAL","detail":"rank 1"},{"checkpoint":"","owner":"person","reason":"PINNED","detail":"for the paper"}],"attempt":"0","peak_memory_bytes":"0","commit_time":"2027-01-15T08:00:00Z"}
)");
}

TEST_F(OutputTest, CheckpointsGet) {
  v1::Checkpoint checkpoint = Text<v1::Checkpoint>(kCheckpoint);
  checkpoint.mutable_manifest()->CopyFrom(Text<v1::Manifest>(R"pb(
    model: "lenet_300_100"
    input_transform: "pixel/255; mean 0.1307; std 0.3081"
    environment { library: "libtorch 2.11.0" device: "cpu x86-64 avx512" }
    tensors {
      name: "layers.0.weight"
      dtype: "F32"
      shape: [ 300, 784 ]
      role: PARAMETER
    }
    initialization {
      sources { checkpoint: "imports/start/epochs/0" manifest_digest: "\003" }
      steps { kind: "checkpoint" loaded_tensors: 6 }
      steps {
        kind: "nio"
        scaled { name: "layers.0.weight" factor: 1.25 }
        scaled { name: "layers.0.bias" factor: 0.5 }
        series {
          name: "gradient_norm"
          stride: 1
          values: [ 4.723, 6, 8.076 ]
        }
      }
    }
  )pb"));
  checkpoint.mutable_seconds()->set_initialize(4.2);
  checkpoint.set_peak_memory_bytes(320'000'000);
  cluster_.Answer("GetCheckpoint", checkpoint);

  EXPECT_EQ(Table({"checkpoints", "get", "studies/1/trials/4/epochs/5"}), R"(
name:                 studies/1/trials/4/epochs/5
model:                lenet_300_100
digest:               sha256:0102
kept as:              BEST_TRIAL of studies/1 (rank 1), PINNED (for the paper)
weights:              1.07 MB in 6 tensors
resume:               -
training loss:        -
validation loss:      -
validation accuracy:  97.00 %
test loss:            -
test accuracy:        -
input transform:      pixel/255; mean 0.1307; std 0.3081
trained with:         libtorch 2.11.0
trained on:           cpu x86-64 avx512
committed:            2027-01-15 08:00:00Z
took:                 4.2 s
memory:               320 MB

READ                    DIGEST
imports/start/epochs/0  sha256:03

FIRST VALUES  TENSORS LOADED  DRAWN  SCALED  BY
checkpoint                 6      0       0  -
nio                        0      0       2  0.5 to 1.25

MEASURED           FIRST   LAST
nio gradient_norm  4.723  8.076

TENSOR           TYPE  SHAPE       ROLE
layers.0.weight  F32   [300, 784]  PARAMETER
)");
}

TEST_F(OutputTest, Usage) {
  cluster_.Answer(
      "GetUsage", Text<v1::GetUsageResponse>(R"pb(
        by_reason { reason: BEST_TRIAL bytes: 1066440 checkpoint_count: 3 }
        live_bytes: 3199320
        logical_bytes: 4000000
        dead_bytes: 17
        pack_bytes: 268435456
        free_bytes: 50000000000
        checkpoint_count: 3
      )pb"));
  const std::string expected = R"(
checkpoints:                      3
weights, each counted once:       3.20 MB
weights, if nothing were shared:  4.00 MB
in packs, needed by nothing:      17 bytes
packs on disk:                    268 MB
free on that disk:                50.0 GB

KEPT AS     CHECKPOINTS  WEIGHTS
BEST_TRIAL            3  1.07 MB
)";
  EXPECT_EQ(Table({"checkpoints", "usage"}), expected);
  EXPECT_EQ(Table({"storage", "usage"}), expected);
  EXPECT_EQ(
      Json({"storage", "usage"}),
      R"({"by_reason":[{"reason":"BEST_TRIAL","bytes":"1066440","checkpoint_count":"3"}],"live_bytes":"3199320","logical_bytes":"4000000","dead_bytes":"17","pack_bytes":"268435456","free_bytes":"50000000000","checkpoint_count":"3"}
)");
}

TEST_F(OutputTest, Trainings) {
  v1::ListTrainingsResponse response;
  *response.add_trainings() = Text<v1::Training>(kTraining);
  cluster_.Answer("ListTrainings", response);
  cluster_.Answer("GetTraining", Text<v1::Training>(kTraining));

  EXPECT_EQ(Table({"trainings", "list"}), R"(
NAME         STATE      FROM                         EPOCHS  RUNS OVER  STUDY      CREATED  DISPLAY NAME
trainings/1  SUCCEEDED  studies/1/trials/4/epochs/5      10     2 of 2  studies/1  -
)");
  EXPECT_EQ(Table({"trainings", "get", "trainings/1"}), R"(
name:          trainings/1
display name:  -
state:         SUCCEEDED
from:          studies/1/trials/4/epochs/5
study:         studies/1
epochs:        10
created:       -
ended:         -

RUN                 SEED  STATE      EPOCH  VALIDATION ACCURACY  TEST ACCURACY  FAILURE
trainings/1/runs/1    42  SUCCEEDED     10                    -        98.00 %  -
trainings/1/runs/2    43  SUCCEEDED     10                    -        98.20 %  -

test accuracy: mean 98.10 %, standard deviation 0.14 % over 2 seeds
)");
}

TEST_F(OutputTest, Workers) {
  cluster_.Answer(
      "ListWorkers", Text<v1::ListWorkersResponse>(R"pb(
        workers {
          name: "workers/local"
          state: READY
          slots { name: "cpu:0" device: "cpu x86-64 avx512" thread_count: 1 }
          slots { name: "cpu:1" device: "cpu x86-64 avx512" thread_count: 2 }
          runs: "studies/1/trials/4"
          datasets: "mnist"
          last_seen_time { seconds: 1800000000 }
        }
      )pb"));

  EXPECT_EQ(Table({"workers", "list"}), R"(
NAME           STATE  SLOTS                                                                      TRAINS              DATASETS  LAST SEEN
workers/local  READY  cpu:0 (cpu x86-64 avx512, 1 thread), cpu:1 (cpu x86-64 avx512, 2 threads)  studies/1/trials/4  mnist     2027-01-15 08:00:00Z
)");
  EXPECT_EQ(
      Json({"workers", "list"}),
      R"({"name":"workers/local","state":"READY","slots":[{"name":"cpu:0","device":"cpu x86-64 avx512","thread_count":"1"},{"name":"cpu:1","device":"cpu x86-64 avx512","thread_count":"2"}],"runs":["studies/1/trials/4"],"datasets":["mnist"],"plugins":[],"refused_plugins":[],"last_seen_time":"2027-01-15T08:00:00Z"}
)");
}

TEST_F(OutputTest, TablesLeaveAStdoutThatIsNoTerminal) {
  v1::ListStudiesResponse response;
  *response.add_studies() = Text<v1::Study>(kStudy);
  cluster_.Answer("ListStudies", response);

  const Said piped = Run({"studies", "list"}, /*terminal=*/false);
  EXPECT_EQ(piped.out, "");
  EXPECT_THAT(piped.error, HasSubstr("studies/1"));

  const Said quiet = Run({"studies", "list", "--quiet"});
  EXPECT_EQ(quiet.out + quiet.error, "");

  const Said json = Run({"studies", "list", "--format", "json", "--quiet"},
                        /*terminal=*/false);
  EXPECT_THAT(json.out, HasSubstr("studies/1"));
  EXPECT_EQ(json.error, "");
}

TEST_F(OutputTest, Comparisons) {
  v1::ListComparisonsResponse response;
  *response.add_comparisons() = Text<v1::Comparison>(kComparison);
  cluster_.Answer("ListComparisons", response);
  cluster_.Answer("GetComparison", response.comparisons(0));

  EXPECT_EQ(Table({"comparisons", "list"}), R"(
NAME           STATE      ARMS  SEEDS  METRIC         STUDY      CREATED               DISPLAY NAME
comparisons/1  SUCCEEDED     2      2  TEST_ACCURACY  studies/1  2027-01-15 08:00:00Z  which start
)");
  EXPECT_EQ(Table({"comparisons", "get", "comparisons/1"}), R"(
name:          comparisons/1
display name:  which start
state:         SUCCEEDED
study:         studies/1
metric:        TEST_ACCURACY
target:        90.00 %
seeds:         42, 43
baseline:      random

ARM     STARTS FROM                  RUNS IN
random  framework_default            trainings/1
final   studies/1/trials/4/epochs/9  trainings/2
)");
}

TEST_F(OutputTest, ComparisonReports) {
  v1::ComparisonReport report;
  *report.mutable_comparison() = Text<v1::Comparison>(kComparison);
  report.set_summary(
      "A sentence that is longer than the seventy columns of this terminal "
      "goes on below.");
  cluster_.Answer("ReportComparison", report);
  const std::string file = absl::StrCat(folder_.path(), "/r.md");

  EXPECT_THAT(Table({"comparisons", "report", "comparisons/1"}),
              HasSubstr("columns of this terminal\ngoes on below."));
  EXPECT_THAT(Run({"comparisons", "report", "comparisons/1"}, false).error,
              HasSubstr("of this terminal goes on below."));
  EXPECT_EQ(Run({"comparisons", "report", "comparisons/1", "-o", file}).out,
            file + "\n");
  EXPECT_THAT(ReadFile(file), IsOkAndHolds(HasSubstr("# which start")));
  EXPECT_THAT(
      Run({"comparisons", "report", "comparisons/1", "--format", "html"}, false)
          .out,
      HasSubstr("</html>"));
  EXPECT_THAT(Json({"comparisons", "report", "comparisons/1"}),
              HasSubstr("\"summary\":\"A sentence"));
  EXPECT_EQ(Run({"comparisons", "report", "comparisons/1", "--format", "pdf"})
                .exit_code,
            2);
}

}  // namespace
}  // namespace headstart::client
