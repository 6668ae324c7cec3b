// What the tests of commands share: a cluster with scripted answers, and the
// program run against it.
#pragma once

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "base/check.h"
#include "client/cli/commands.h"
#include "headstart/v1/admin_service.pb.h"
#include "headstart/v1/checkpoint_service.pb.h"
#include "headstart/v1/comparison_service.pb.h"
#include "headstart/v1/training_service.pb.h"
#include "headstart/v1/tuning_service.pb.h"
#include "tests/support/fake_cluster.h"
#include "tests/support/temp_dir.h"

namespace headstart::client {

template <typename M>
M Text(const std::string& text) {
  M message;
  HS_CHECK(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

inline constexpr char kStudy[] = R"pb(
  name: "studies/1"
  display_name: "lenet"
  search { asha { trial_count: 27 min_epochs: 1 reduction: 3 } }
  objective { metric: VALIDATION_ACCURACY goal: MAXIMIZE }
  state: SUCCEEDED
  create_time { seconds: 1800000000 }
  end_time { seconds: 1800000100 }
  trial_counts { succeeded: 3 stopped: 24 }
  recorded_epochs: 63
  best_trial: "studies/1/trials/4"
  best_objective: 0.9788
  best_epoch: 9
  trainings: "trainings/1"
)pb";

inline constexpr char kTrial[] = R"pb(
  name: "studies/1/trials/4"
  state: SUCCEEDED
  values { path: "optimizer.adam.learning_rate" value: "0.0012" }
  values { path: "initializer" value: "{\"xavier_normal\":{}}" }
  seed: 77
  epoch: 1
  objective: 0.9788
  epochs {}
  epochs {
    epoch: 1
    measurement {
      training_loss: 0.25
      training_accuracy: 0.925
      validation_loss: 0.1
      validation_accuracy: 0.9788
    }
    seconds { train: 4 evaluate: 0.2 }
    examples_per_second: 12345
    peak_memory_bytes: 320000000
  }
  attempts {
    number: 1
    state: SUCCEEDED
    worker: "workers/local"
    slot: "cpu:0"
    until_epoch: 1
    start_time { seconds: 1800000000 }
    end_time { seconds: 1800000005 }
  }
  create_time { seconds: 1800000000 }
)pb";

inline constexpr char kCheckpoint[] = R"pb(
  name: "studies/1/trials/4/epochs/5"
  run: "studies/1/trials/4"
  epoch: 5
  manifest_digest: "\001\002"
  measurement { validation_accuracy: 0.97 }
  tensor_bytes: 1066440
  tensor_count: 6
  references { owner: "studies/1" reason: BEST_TRIAL detail: "rank 1" }
  references { owner: "person" reason: PINNED detail: "for the paper" }
  commit_time { seconds: 1800000000 }
)pb";

inline constexpr char kTraining[] = R"pb(
  name: "trainings/1"
  state: SUCCEEDED
  source_checkpoint: "studies/1/trials/4/epochs/5"
  resolved_training { epochs: 10 }
  study: "studies/1"
  runs {
    name: "trainings/1/runs/1"
    seed: 42
    state: SUCCEEDED
    epoch: 10
    epochs { measurement { test_accuracy: 0.98 } }
  }
  runs {
    name: "trainings/1/runs/2"
    seed: 43
    state: SUCCEEDED
    epoch: 10
    epochs { measurement { test_accuracy: 0.982 } }
  }
)pb";

inline constexpr char kComparison[] = R"pb(
  name: "comparisons/1"
  display_name: "which start"
  study: "studies/1"
  seeds: 42
  seeds: 43
  metric: TEST_ACCURACY
  target_accuracy: 0.9
  arms {
    label: "random"
    initializer { framework_default {} }
    training_name: "trainings/1"
  }
  arms {
    label: "final"
    epochs { string_value: "final" }
    training_name: "trainings/2"
    source_checkpoint: "studies/1/trials/4/epochs/9"
  }
  baseline: "random"
  state: SUCCEEDED
  create_time { seconds: 1800000000 }
)pb";

class CommandsTest : public ::testing::Test {
 protected:
  struct Said {
    int exit_code = 0;
    std::string out;
    std::string error;
  };

  // `terminal`: stdout is one.
  Said Run(std::vector<std::string> arguments, bool terminal = true,
           bool with_server = true) {
    if (with_server) {
      arguments.push_back("--server");
      arguments.push_back(cluster_.address());
    }
    std::ostringstream out, error;
    Said said;
    said.exit_code = RunHeadstart(arguments, {.out = &out,
                                              .error = &error,
                                              .out_is_terminal = terminal,
                                              .columns = [] { return 70; }});
    said.out = out.str();
    said.error = error.str();
    return said;
  }

  // Succeeds, and what it wrote to the terminal.
  std::string Table(const std::vector<std::string>& arguments) {
    const Said said = Run(arguments);
    EXPECT_EQ(said.exit_code, 0) << said.error;
    EXPECT_EQ(said.error, "");
    return "\n" + said.out;
  }

  // The same, with --format json.
  std::string Json(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--format", "json"});
    const Said said = Run(arguments);
    EXPECT_EQ(said.exit_code, 0) << said.error;
    return said.out;
  }

  FakeCluster cluster_;
  const TempDir folder_;
};

}  // namespace headstart::client
