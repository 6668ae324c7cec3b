#include "client/cli/study_file.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/random_stream.h"
#include "headstart/v1/worker_service.pb.h"
#include "tests/support/process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::client {
namespace {

using ::google::protobuf::util::MessageDifferencer;

constexpr char kStudy[] = R"(display_name: mnist-lenet
training:                       # what one run does
  model: {lenet_300_100: {}}
  dataset: {mnist: {validation_examples: 5000}}
  epochs: 9
  batch_size: 128
  optimizer: {adam: {learning_rate: 0.0012}}
search:
  parameters:
    - {path: optimizer.adam.learning_rate, double: {min: 1.0e-4, max: 1.0e-1, scale: LOG}}
    - {path: batch_size, integer_list: {values: [60, 128, 256]}}
    - {path: initializer, choice: {values: [{xavier_normal: {}}, {kaiming_uniform: {gain: 2}}]}}
  asha: {trial_count: 27, min_epochs: 1, reduction: 3}
objective: {metric: VALIDATION_ACCURACY, goal: MAXIMIZE}
retention: {best_trials: 3}
seed: 42
then:
  - {from: {winner: {epoch: 5}}, epochs: 20, seeds: [42, 43, 44]}
)";

absl::StatusOr<v1::Study> Study(absl::string_view text) {
  v1::Study study;
  const absl::Status status = FillFromYaml(text, "s.yaml", study);
  if (!status.ok()) return status;
  return study;
}

// The whole study file with one text replaced.
absl::StatusOr<v1::Study> Changed(const std::string& from,
                                  const std::string& to) {
  const std::string text = absl::StrReplaceAll(kStudy, {{from, to}});
  EXPECT_NE(text, kStudy) << from;
  return Study(text);
}

TEST(StudyFileTest, FillsEveryKindOfField) {
  v1::Study expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        display_name: "mnist-lenet"
        training {
          model { lenet_300_100 {} }
          dataset { mnist { validation_examples: 5000 } }
          epochs: 9
          batch_size: 128
          optimizer { adam { learning_rate: 0.0012 } }
        }
        search {
          parameters {
            path: "optimizer.adam.learning_rate"
            double { min: 1e-4 max: 0.1 scale: LOG }
          }
          parameters {
            path: "batch_size"
            integer_list { values: [ 60, 128, 256 ] }
          }
          parameters {
            path: "initializer"
            choice {
              values {
                struct_value {
                  fields {
                    key: "xavier_normal"
                    value { struct_value {} }
                  }
                }
              }
              values {
                struct_value {
                  fields {
                    key: "kaiming_uniform"
                    value {
                      struct_value {
                        fields {
                          key: "gain"
                          value { number_value: 2 }
                        }
                      }
                    }
                  }
                }
              }
            }
          }
          asha { trial_count: 27 min_epochs: 1 reduction: 3 }
        }
        objective { metric: VALIDATION_ACCURACY goal: MAXIMIZE }
        retention { best_trials: 3 }
        seed: 42
        then {
          from { winner { epoch: 5 } }
          epochs: 20
          seeds: [ 42, 43, 44 ]
        }
      )pb",
      &expected));

  const absl::StatusOr<v1::Study> study = Study(kStudy);

  ASSERT_THAT(study, IsOk());
  EXPECT_TRUE(MessageDifferencer::Equals(*study, expected))
      << study->DebugString();
}

// What a person changes, and the answer with its place.
struct Mistake {
  std::string from;
  std::string to;
  std::string answer;
};

TEST(StudyFileTest, SaysWhatIsWrongAndWhere) {
  const std::vector<Mistake> mistakes = {
      {"seed: 42\n", "seeed: 42\n",
       "s.yaml:16:1: seeed: Study has no field of this name; did you mean "
       "seed?"},
      {"lenet_300_100", "lenet_5",
       "s.yaml:3:11: training.model.lenet_5: Model has no field of this name; "
       "did you mean lenet_300_100?"},
      {"lenet_300_100", "vgg",
       "s.yaml:3:11: training.model.vgg: Model has no field of this name; "
       "there are lenet_300_100, small_cnn, cifar_resnet18"},
      {"xavier_normal: {}", "xavier_normal: ~",
       ""},  // Any value is a value; the scheduler judges.
      {"batch_size: 128\n", "batch_size: 128\n  epochs: 3\n",
       "s.yaml:7:3: training.epochs: is given twice; first in line 5"},
      {"{lenet_300_100: {}}", "{lenet_300_100: {}, small_cnn: {}}",
       "s.yaml:3:30: training.model.small_cnn: only one kind of Model can be "
       "given; lenet_300_100 is in line 3"},
      {"epochs: 9", "epochs: 9.0",
       "s.yaml:5:11: training.epochs: must be a whole number, got 9.0"},
      {"epochs: 9", "epochs: \"9\"",
       "s.yaml:5:11: training.epochs: must be a whole number, got the text "
       "\"9\""},
      {"epochs: 9", "epochs: 9223372036854775808",
       "s.yaml:5:11: training.epochs: must be a whole number of at most 63 "
       "bits, got 9223372036854775808"},
      {"epochs: 9", "epochs: nine",
       "s.yaml:5:11: training.epochs: must be a whole number, got nine"},
      {"epochs: 9", "epochs: {a: 1}",
       "s.yaml:5:11: training.epochs: must be a whole number, got fields "
       "{...}"},
      {"learning_rate: 0.0012", "learning_rate: fast",
       "s.yaml:7:37: training.optimizer.adam.learning_rate: must be a number, "
       "got fast"},
      {"learning_rate: 0.0012", "learning_rate: .inf",
       "must be a number, got .inf"},
      {"learning_rate: 0.0012", "learning_rate: 1e400",
       "is outside the range of a double, got 1e400"},
      {"learning_rate: 0.0012", "learning_rate: 1e-400",
       "is outside the range of a double, got 1e-400"},
      {"learning_rate: 0.0012", "learning_rate: 9007199254740993",
       "cannot hold this whole number exactly, got 9007199254740993"},
      {"scale: LOG", "scale: log",
       "search.parameters[0].double.scale: must be one of LINEAR, LOG, got "
       "log"},
      {"goal: MAXIMIZE", "goal: GOAL_UNSPECIFIED",
       "objective.goal: must be one of MAXIMIZE, MINIMIZE, got "
       "GOAL_UNSPECIFIED"},
      {"[60, 128, 256]", "60",
       "s.yaml:11:49: search.parameters[1].integer_list.values: must be a list "
       "[...], got 60"},
      {"[60, 128, 256]", "[60, x]",
       "search.parameters[1].integer_list.values[1]: must be a whole number, "
       "got x"},
      {"{lenet_300_100: {}}", "{lenet_300_100: }",
       "training.model.lenet_300_100: needs a value; write {} where every "
       "field has its default"},
      {"{lenet_300_100: {}}", "lenet_300_100",
       "s.yaml:3:10: training.model: must be fields of Model, got "
       "lenet_300_100"},
      {"retention: {best_trials: 3}", "retention: &kept {best_trials: 3}",
       "anchors (&name) are not read here"},
      {"retention: {best_trials: 3}", "retention: *kept", "s.yaml:15:"},
      {"seed: 42\n", "seed: !!int 42\n", "tags (!name) are not read here"},
      {"seed: 42\n", "seed: 42\n---\nseed: 43\n",
       "the file has several documents"},
      {"seed: 42\n", "seed: [42\n", "not YAML: "},
      {"seed: 42\n", "[seed]: 42\n", "a field's name must be a plain word"},
      {"seed: 42\n", "create_time: 42\n",
       "create_time: is set by the scheduler; leave it out of the file"},
      {"display_name: mnist-lenet", "display_name: \xFF",
       "s.yaml:1:15: this byte is not UTF-8 text"},
      {"display_name: mnist-lenet", "display_name: \x04",
       "s.yaml:1:15: control characters are not allowed here"},
      {"{gain: 2}", "{gain: 2, gain: 3}",
       "choice.values[1].kaiming_uniform.gain: is given twice"},
  };
  for (const Mistake& mistake : mistakes) {
    const absl::StatusOr<v1::Study> study = Changed(mistake.from, mistake.to);
    if (mistake.answer.empty()) {
      EXPECT_THAT(study, IsOk()) << mistake.to;
    } else {
      EXPECT_THAT(study,
                  StatusIs(absl::StatusCode::kInvalidArgument, mistake.answer))
          << mistake.to;
    }
  }
}

TEST(StudyFileTest, RefusesAnEmptyFile) {
  EXPECT_THAT(Study("# nothing\n"), StatusIs(absl::StatusCode::kInvalidArgument,
                                             "the file is empty"));
  EXPECT_THAT(Study("just a word"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "s.yaml:1:1: must be fields of Study, got "
                       "just a word"));
}

TEST(StudyFileTest, TakesNamesInQuotesAsJsonHasThem) {
  const auto study = Changed("goal: MAXIMIZE", "goal: \"MAXIMIZE\"");
  ASSERT_TRUE(study.ok()) << study.status();
  EXPECT_EQ(study->objective().goal(), v1::Objective::MAXIMIZE);
}

TEST(StudyFileTest, ReadsNumbersInEveryUsualForm) {
  const absl::StatusOr<v1::Study> study = Study(
      "seed: -7\n"
      "search: {parameters: [{path: a, double_list: {values: [1, 1.0e-4, "
      "-2.5E+3, .5, 0e5]}}]}\n");

  ASSERT_THAT(study, IsOk());
  EXPECT_EQ(study->seed(), -7);
  EXPECT_THAT(study->search().parameters(0).double_list().values(),
              ::testing::ElementsAre(1, 1e-4, -2500, 0.5, 0));
}

TEST(StudyFileTest, ReadsDurationsWithTheirUnit) {
  v1::SynchronizeResponse response;
  ASSERT_THAT(FillFromYaml("lease_duration: 1m30.25s", "f", response), IsOk());
  EXPECT_EQ(response.lease_duration().seconds(), 90);
  EXPECT_EQ(response.lease_duration().nanos(), 250'000'000);

  response.Clear();
  EXPECT_THAT(FillFromYaml("lease_duration: 90", "f", response),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "must be a time with its unit"));
}

TEST(StudyFileTest, BoundsSizeAndDepth) {
  EXPECT_THAT(
      Study(std::string((1 << 20) + 1, '#')),
      StatusIs(absl::StatusCode::kInvalidArgument, "at most 1048576 are read"));
  const auto nested = [](int levels) {
    return absl::StrCat(
        "search: {parameters: [{choice: {values: ", std::string(levels, '['),
        "1", std::string(levels, ']'), "}}]}");
  };
  // Whatever is read here, a server can read too: a message of this depth
  // survives its way.
  const absl::StatusOr<v1::Study> deepest = Study(nested(19));
  ASSERT_THAT(deepest, IsOk());
  v1::Study copy;
  EXPECT_TRUE(copy.ParseFromString(deepest->SerializeAsString()));

  EXPECT_THAT(Study(nested(20)), StatusIs(absl::StatusCode::kInvalidArgument,
                                          "nested deeper than 24"));
  EXPECT_THAT(Study(nested(100'000)),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

// Whatever the bytes: an answer with a place, or a study that a server can
// parse. Deterministic: the same mutations in every run.
TEST(StudyFileTest, SurvivesMutatedFiles) {
  const std::string original = kStudy;
  const std::vector<std::string> pieces = {"{",
                                           "}",
                                           "[",
                                           "]",
                                           ": ",
                                           "- ",
                                           "\n",
                                           "  ",
                                           "\"",
                                           "'",
                                           "&a ",
                                           "*a",
                                           "|\n",
                                           ">\n",
                                           "#",
                                           "? ",
                                           "!",
                                           "%",
                                           "@",
                                           "\t",
                                           "\xE2\x82\xAC",
                                           "\xC0",
                                           std::string(1, '\0'),
                                           "~",
                                           "---\n",
                                           "1e999",
                                           "<<: ",
                                           ","};
  int64_t read_count = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    RandomStream random = RandomStream(seed).Child("mutation");
    std::string text = original;
    for (int64_t i = random.UniformInt(6); i >= 0; --i) {
      const int64_t at = random.UniformInt(text.size());
      switch (random.UniformInt(3)) {
        case 0:
          text.erase(at, 1 + random.UniformInt(20));
          break;
        case 1:
          text.insert(at, pieces[random.UniformInt(pieces.size())]);
          break;
        default:
          text[at] = static_cast<char>(random.UniformInt(256));
      }
      if (text.empty()) text = " ";
    }
    const absl::StatusOr<v1::Study> study = Study(text);
    if (study.ok()) {
      v1::Study copy;
      ASSERT_TRUE(copy.ParseFromString(study->SerializeAsString())) << text;
      ++read_count;
    } else {
      ASSERT_THAT(study,
                  StatusIs(absl::StatusCode::kInvalidArgument, "s.yaml:"))
          << text;
    }
  }
  EXPECT_GT(read_count, 30);  // Otherwise the mutations are too wild.
}

TEST(StudyFileTest, ReadsEveryExample) {
  const std::string folder = SourceFolder() + "/examples/";
  for (const std::string name :
       {"mnist.yaml", "random_search.yaml", "grid.yaml",
        "cifar10_small_cnn.yaml", "cifar10_resnet18.yaml", "my_images.yaml"}) {
    EXPECT_THAT(ReadStudyFile(folder + name), IsOk()) << name;
  }
  EXPECT_THAT(ReadTrainingFile(folder + "training.yaml"), IsOk());
}

TEST(StudyFileTest, NamesAFileThatCannotBeRead) {
  const TempDir folder;
  EXPECT_THAT(ReadStudyFile(folder.path() + "/none.yaml"),
              StatusIs(absl::StatusCode::kNotFound, "none.yaml"));
  EXPECT_THAT(ReadStudyFile(folder.path()),
              StatusIs(absl::StatusCode::kInvalidArgument, "is it a folder?"));

  std::ofstream(folder.path() + "/t.yaml")
      << "from: {checkpoint: studies/1/trials/2/epochs/3}\nseeds: [1]\n";
  const auto training = ReadTrainingFile(folder.path() + "/t.yaml");
  ASSERT_THAT(training, IsOk());
  EXPECT_EQ(training->from().checkpoint(), "studies/1/trials/2/epochs/3");
}

}  // namespace
}  // namespace headstart::client
