#include "proto/phases.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace headstart {
namespace {

using testing::ElementsAre;

// "level 1 of 2" for each epoch, with "!" where it ends.
std::vector<std::string> Phases(const char* text) {
  v1::TrainingSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec));
  std::vector<std::string> phases;
  for (int64_t epoch = 0; epoch <= spec.epochs(); ++epoch) {
    const auto phase = PhaseOf(spec, epoch);
    if (!phase.has_value()) continue;
    phases.push_back(absl::StrCat(phase->name, " of ", phase->count,
                                  phase->ends ? "!" : ""));
  }
  return phases;
}

TEST(PhasesTest, LevelsOfEqualLength) {
  EXPECT_THAT(Phases("epochs: 6 pruning { epochs_per_level: 2 }"),
              ElementsAre("level 1 of 3", "level 1 of 3!", "level 2 of 3",
                          "level 2 of 3!", "level 3 of 3", "level 3 of 3!"));
}

TEST(PhasesTest, RewoundLevelsAreShorter) {
  EXPECT_THAT(
      Phases("epochs: 5 pruning { epochs_per_level: 3 rewind_epoch: 2 }"),
      ElementsAre("level 1 of 3", "level 1 of 3", "level 1 of 3!",
                  "level 2 of 3!", "level 3 of 3!"));
}

TEST(PhasesTest, StagesByCountAndByBlocks) {
  const auto expected = {"stage 1 of 2", "stage 1 of 2!", "stage 2 of 2",
                         "stage 2 of 2!"};
  EXPECT_THAT(Phases("epochs: 4 stages { count: 2 keep {} }"),
              testing::ElementsAreArray(expected));
  EXPECT_THAT(
      Phases("epochs: 4 stages { layer_wise { blocks: 2 repeats: 1 } }"),
      testing::ElementsAreArray(expected));
}

TEST(PhasesTest, OthersHaveNone) {
  EXPECT_THAT(Phases("epochs: 4"), testing::IsEmpty());
  v1::TrainingSpec spec;
  spec.set_epochs(7);
  EXPECT_EQ(ScheduleEpochs(spec), 7);
}

}  // namespace
}  // namespace headstart
