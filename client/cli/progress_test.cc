#include "client/cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/test_commands.h"
#include "tests/support/fake_clock.h"

namespace headstart::client {
namespace {

using ::testing::ElementsAre;

TEST(PaceTest, TellsWhatIsLeftOnceItHasSeenASecond) {
  FakeClock clock;
  Pace pace(clock);
  pace.Note(10);
  EXPECT_THAT(pace.Parts(10, 100, /*about=*/true),
              ElementsAre("10 of about 100"));
  clock.Advance(absl::Milliseconds(500));
  pace.Note(12);
  EXPECT_EQ(pace.EpochsPerSecond(), std::nullopt);
  clock.Advance(absl::Milliseconds(1500));
  pace.Note(14);
  EXPECT_THAT(pace.Parts(14, 100, /*about=*/false),
              ElementsAre("14 of 100", "2 per second", "about 43 s left"));
  EXPECT_THAT(pace.Parts(100, 100, /*about=*/false), ElementsAre("100"));
}

TEST(PaceTest, ForgetsWhatIsLongAgoButKeepsTheLastStep) {
  FakeClock clock;
  Pace pace(clock);
  pace.Note(0);
  clock.Advance(absl::Seconds(10));
  pace.Note(1000);
  // Slow from here on; nothing new meanwhile is no news.
  for (const int64_t epochs : {1001, 1002}) {
    clock.Advance(absl::Seconds(50));
    pace.Note(epochs - 1);
    clock.Advance(absl::Seconds(50));
    pace.Note(epochs);
  }
  EXPECT_EQ(pace.EpochsPerSecond(), 0.01);
}

TEST(RateTextTest, TakesAUnitInWhichItIsOneOrMore) {
  EXPECT_EQ(RateText(123.4), "123 per second");
  EXPECT_EQ(RateText(9.96), "10 per second");
  EXPECT_EQ(RateText(1.84), "1.8 per second");
  EXPECT_EQ(RateText(0.5), "30 per minute");
  EXPECT_EQ(RateText(1.0 / 40), "1.5 per minute");
  EXPECT_EQ(RateText(1.0 / 600), "6 per hour");
  EXPECT_EQ(RateText(1.0 / 14400), "0.25 per hour");
}

TEST(TrainingPartsTest, CountsRunsAndNamesThoseInTraining) {
  const auto training = Text<v1::Training>(R"pb(
    state: RUNNING
    resolved_training { epochs: 12 }
    runs { seed: 42 state: SUCCEEDED epoch: 12 }
    runs { seed: 43 state: TRAINING epoch: 5 }
    runs {
      seed: 46
      state: TRAINING
      epoch: 5
      attempts { progress { epoch: 6 share: 0.49 } }
    }
    # The epoch it tells of has been recorded since.
    runs {
      seed: 47
      state: TRAINING
      epoch: 6
      attempts { progress { epoch: 6 share: 0.9 } }
    }
    runs {
      seed: 48
      state: TRAINING
      attempts { progress { activity: "nio 3 of 9: objective -2, norm 1" } }
    }
    runs { seed: 44 state: WAITING epoch: 2 }
    runs { seed: 45 state: FAILED epoch: 3 }
  )pb");
  EXPECT_THAT(
      RunsParts(training),
      ElementsAre("1 of 7 done", "1 waiting", "seed 43 at epoch 5 of 12",
                  "seed 46 at epoch 5.4 of 12", "seed 47 at epoch 6 of 12",
                  "seed 48 at its first values", "nio 3 of 9: objective -2",
                  "norm 1", "seed 45 failed"));
  EXPECT_EQ(EpochsDone(training), 33);
  EXPECT_EQ(EpochsInAll(training), 75);

  EXPECT_THAT(RunsParts(Text<v1::Training>(kTraining)),
              ElementsAre("2 of 2 done", "mean test accuracy 98.10 %"));
}

TEST(RunsPartsTest, SaysWhichStageARunIsIn) {
  const auto training = Text<v1::Training>(R"pb(
    resolved_training {
      epochs: 12
      stages {
        count: 3
        keep {}
      }
    }
    runs { seed: 42 state: TRAINING epoch: 4 }
    runs { seed: 43 state: TRAINING epoch: 12 }
  )pb");
  EXPECT_THAT(
      RunsParts(training),
      ElementsAre("0 of 2 done", "seed 42 at epoch 4 of 12", "stage 2 of 3",
                  "seed 43 at epoch 12 of 12", "stage 3 of 3"));
}

TEST(WrappedTest, BreaksBetweenPartsOnly) {
  EXPECT_THAT(Wrapped("  best  ", {"one", "two", "three"}, ", ", 17),
              ElementsAre("  best  one, two,", "        three"));
  EXPECT_THAT(Wrapped("  best  ", {"one", "two", "three"}, ", ", 40),
              ElementsAre("  best  one, two, three"));
  // What fits nowhere is cut by who draws it.
  EXPECT_THAT(Wrapped("  ", {"a-long-word", "b"}, " ", 5),
              ElementsAre("  a-long-word", "  b"));
  EXPECT_THAT(Wrapped("  best  ", {}, " ", 5), ElementsAre("  best"));
}

}  // namespace
}  // namespace headstart::client
