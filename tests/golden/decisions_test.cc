// The decisions of seeded studies, as the first release took them. A change
// here changes what a study with a given seed does: it needs a new rule version
// and a line in CHANGELOG.md.
//
//   decisions_test --print STUDY   writes what to put into the golden file
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gtest/gtest.h"

#include "base/random_stream.h"
#include "tests/support/scheduler_world.h"

namespace headstart::scheduler {
namespace {

v1::Study StudyOf(const std::string& name) {
  v1::Study study = SmallStudy(
      name == "asha" ? "asha { trial_count: 27 min_epochs: 1 reduction: 3 }"
                     : "random { trial_count: 8 }",
      9);
  study.MergeFrom(Parse<v1::Study>(R"(search {
    parameters { path: "batch_size" integer { min: 16 max: 256 scale: LOG } }
    parameters { path: "optimizer.adam.beta1"
                 double { min: 0.5 max: 0.95 } }
    parameters { path: "initializer" choice {
      values { struct_value { fields {
        key: "xavier_normal" value { struct_value {} } } } }
      values { struct_value { fields {
        key: "kaiming_uniform" value { struct_value {} } } } } } } })"));
  return study;
}

// Ten digits: the last ones of a logarithm may differ between C libraries.
std::string Rounded(const std::string& value) {
  double number = 0;
  return absl::SimpleAtod(value, &number) ? absl::StrFormat("%.10g", number)
                                          : value;
}

// One line per decision of the study, on one slot.
std::string DecisionsOf(const std::string& name) {
  TestWorld world;
  world.Do(CreateStudy{{}, StudyOf(name)});
  world.TrainAll([](const v1::Assignment& work, int64_t epoch) {
    // Coarse, so that there are ties.
    RandomStream stream = RandomStream(7).Child(work.run(), epoch);
    return std::floor(stream.Uniform() * 50) / static_cast<double>(epoch + 1);
  });
  std::string text;
  for (const Event& event : world.journal()) {
    if (event.has_trial_created()) {
      const internal::v1::TrialCreated& created = event.trial_created();
      absl::StrAppend(&text, "trial ", created.trial(), " seed ",
                      created.seed());
      for (const v1::ParameterValue& value : created.values()) {
        absl::StrAppend(&text, " ", value.path(), "=", Rounded(value.value()));
      }
      absl::StrAppend(&text, "\n  ", created.decision().text(), "\n");
    } else if (event.has_trial_promoted()) {
      absl::StrAppend(&text, "trial ", event.trial_promoted().trial(), "\n  ",
                      event.trial_promoted().decision().text(), "\n");
    } else if (event.has_trial_state_changed()) {
      absl::StrAppend(&text, "trial ", event.trial_state_changed().trial(),
                      "\n  ", event.trial_state_changed().decision().text(),
                      "\n");
    }
  }
  const v1::Study study = *world.scheduler().GetStudy("studies/1");
  absl::StrAppend(&text, "winner ", study.best_trial(), " ",
                  study.best_objective(), "\n");
  return text;
}

class DecisionsTest : public testing::TestWithParam<const char*> {};

TEST_P(DecisionsTest, AreThoseOfTheFirstRelease) {
  const std::string path =
      absl::StrCat(GOLDEN_FOLDER "/decisions_", GetParam(), ".txt");
  std::ifstream file(path);
  const std::string golden((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
  EXPECT_EQ(DecisionsOf(GetParam()), golden) << path;
}

INSTANTIATE_TEST_SUITE_P(Studies, DecisionsTest,
                         testing::Values("asha", "random"));

}  // namespace
}  // namespace headstart::scheduler

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc == 3 && std::string(argv[1]) == "--print") {
    std::fputs(headstart::scheduler::DecisionsOf(argv[2]).c_str(), stdout);
    return 0;
  }
  return RUN_ALL_TESTS();
}
