#include "scheduler/search/asha.h"

#include <cmath>
#include <limits>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/random_stream.h"
#include "tests/contract/search_method_contract.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::unique_ptr<SearchMethod> MakeAsha() {
  return *Asha::Create({.trial_count = 24, .max_epochs = 9, .reduction = 3});
}
std::unique_ptr<SearchMethod> MakeAshaWithOneRung() {
  return *Asha::Create(
      {.trial_count = 24, .min_epochs = 9, .max_epochs = 9, .reduction = 2});
}
INSTANTIATE_TEST_SUITE_P(Asha, SearchMethodContract,
                         testing::Values(&MakeAsha, &MakeAshaWithOneRung));

// Feeds facts in, as a study would.
class AshaTest : public testing::Test {
 protected:
  void Make(const AshaOptions& options) { asha_ = *Asha::Create(options); }
  void Start(int64_t trial) {
    asha_->Observe({.kind = TrialEvent::Kind::kStarted,
                    .trial = trial,
                    .epochs = asha_->rung_epochs().front()});
  }
  void Reach(int64_t trial, double loss) {
    asha_->Observe(
        {.kind = TrialEvent::Kind::kReached, .trial = trial, .loss = loss});
  }
  void StartAndReach(int64_t trial, double loss) {
    Start(trial);
    Reach(trial, loss);
  }
  void Promote(int64_t trial, int64_t until) {
    asha_->Observe(
        {.kind = TrialEvent::Kind::kPromoted, .trial = trial, .epochs = until});
  }
  void Tell(TrialEvent::Kind kind, int64_t trial) {
    asha_->Observe({.kind = kind, .trial = trial});
  }
  // The trial that would be promoted now; 0 when a new one would start, -1 when
  // nothing would.
  int64_t NextPromotion() const {
    const std::optional<Decision> next = asha_->Next();
    if (!next.has_value()) return -1;
    return next->record.kind() == v1::TrialDecision::PROMOTED ? next->trial : 0;
  }

  std::unique_ptr<Asha> asha_;
};

std::vector<int64_t> Rungs(int64_t min, int64_t max, int64_t reduction) {
  return (*Asha::Create({.trial_count = 1,
                         .min_epochs = min,
                         .max_epochs = max,
                         .reduction = reduction}))
      ->rung_epochs();
}

TEST_F(AshaTest, BuildsItsLadderInIntegers) {
  EXPECT_THAT(Rungs(1, 9, 3), ElementsAre(1, 3, 9));
  EXPECT_THAT(Rungs(1, 243, 3), ElementsAre(1, 3, 9, 27, 81, 243));
  EXPECT_THAT(Rungs(1, 1000, 10), ElementsAre(1, 10, 100, 1000));
  EXPECT_THAT(Rungs(2, 20, 4), ElementsAre(2, 8, 20));  // Ends at the last.
  EXPECT_THAT(Rungs(5, 5, 2), ElementsAre(5));
}

TEST_F(AshaTest, RefusesOptionsOutsideTheirRange) {
  EXPECT_THAT(Asha::Create({.trial_count = 0, .max_epochs = 9}),
              StatusIs(absl::StatusCode::kInvalidArgument, "trial_count"));
  EXPECT_THAT(
      Asha::Create({.trial_count = 9, .min_epochs = 10, .max_epochs = 9}),
      StatusIs(absl::StatusCode::kInvalidArgument, "min_epochs"));
  EXPECT_THAT(Asha::Create({.trial_count = 9, .max_epochs = 9, .reduction = 1}),
              StatusIs(absl::StatusCode::kInvalidArgument, "reduction"));
}

TEST_F(AshaTest, PromotesTheBestOfEveryThree) {
  Make({.trial_count = 9, .max_epochs = 9, .reduction = 3});
  StartAndReach(1, 0.5);
  StartAndReach(2, 0.4);
  EXPECT_EQ(NextPromotion(), 0);  // floor(2 / 3) is none.

  StartAndReach(3, 0.6);

  EXPECT_EQ(NextPromotion(), 2);
  const Decision decision = *asha_->Next();
  EXPECT_EQ(decision.record.until_epoch(), 3);
  EXPECT_EQ(decision.record.rung_epochs(), 1);
  EXPECT_EQ(decision.record.rank(), 1);
  EXPECT_EQ(decision.record.rung_size(), 3);
  EXPECT_EQ(decision.record.still_expected(), 6);
}

TEST_F(AshaTest, PromotesFromTheHighestRungFirst) {
  Make({.trial_count = 30, .max_epochs = 9, .reduction = 3});
  for (int64_t trial = 1; trial <= 9; ++trial) StartAndReach(trial, trial);
  for (int64_t trial = 1; trial <= 3; ++trial) {
    Promote(trial, 3);
    Reach(trial, trial);
  }
  for (int64_t trial = 10; trial <= 12; ++trial) StartAndReach(trial, trial);

  EXPECT_EQ(NextPromotion(), 1);  // Though trial 4 is due at the first rung.
  Promote(1, 9);
  EXPECT_EQ(NextPromotion(), 4);
}

// Peers promote on a plateau without end; here the share holds.
TEST_F(AshaTest, BreaksTiesByTrialNumberAndKeepsTheShare) {
  Make({.trial_count = 100, .max_epochs = 9, .reduction = 3});
  for (int64_t trial = 1; trial <= 90; ++trial) StartAndReach(trial, 2.3);

  for (int64_t trial = 1; trial <= 30; ++trial) {
    ASSERT_EQ(NextPromotion(), trial);
    Promote(trial, 3);
  }
  EXPECT_EQ(NextPromotion(), 0);
}

TEST_F(AshaTest, NeverPromotesNanAndLetsItBlockNobody) {
  Make({.trial_count = 100, .max_epochs = 9, .reduction = 2});
  StartAndReach(1, kNan);
  StartAndReach(2, kNan);
  StartAndReach(3, kNan);
  EXPECT_EQ(NextPromotion(), 0);  // Among the best by count, and still not.

  StartAndReach(4, 7.0);
  EXPECT_EQ(NextPromotion(), 4);  // The first of floor(4 / 2).
  StartAndReach(5, std::numeric_limits<double>::infinity());
  EXPECT_EQ(NextPromotion(), 4);
}

TEST_F(AshaTest, CountsAFailedTrialAsWorstWhereItWasHeading) {
  Make({.trial_count = 9, .max_epochs = 9, .reduction = 3});
  StartAndReach(1, 0.5);
  StartAndReach(2, 0.4);
  Start(3);
  EXPECT_EQ(NextPromotion(), 0);

  Tell(TrialEvent::Kind::kFailed, 3);

  EXPECT_EQ(NextPromotion(), 2);
  EXPECT_FALSE(asha_->IsPromotable(3));
}

TEST_F(AshaTest, TakesAFailureBackWhenTheTrialIsRetried) {
  Make({.trial_count = 9, .max_epochs = 9, .reduction = 3});
  StartAndReach(1, 0.5);
  StartAndReach(2, 0.4);
  Start(3);
  Tell(TrialEvent::Kind::kFailed, 3);

  Tell(TrialEvent::Kind::kRetried, 3);
  EXPECT_EQ(NextPromotion(), 0);
  Reach(3, 0.1);

  EXPECT_EQ(NextPromotion(), 3);
}

TEST_F(AshaTest, StopsWhatCannotBePromotedAnyMore) {
  Make({.trial_count = 6, .max_epochs = 9, .reduction = 3});
  for (int64_t trial = 1; trial <= 3; ++trial) StartAndReach(trial, trial);

  // Three more can come: at most the best floor(6 / 3) = 2 train on.
  EXPECT_TRUE(asha_->IsPromotable(1));
  EXPECT_TRUE(asha_->IsPromotable(2));
  EXPECT_FALSE(asha_->IsPromotable(3));
  const Decision stop = *asha_->Stop();
  EXPECT_EQ(stop.trial, 3);
  EXPECT_EQ(stop.record.kind(), v1::TrialDecision::STOPPED);
  EXPECT_EQ(stop.record.rank(), 3);
  EXPECT_EQ(stop.record.rung_size(), 3);
  EXPECT_EQ(stop.record.still_expected(), 3);
  EXPECT_THAT(stop.record.text(), HasSubstr("best 2"));

  Tell(TrialEvent::Kind::kWithdrawn, 3);
  EXPECT_FALSE(asha_->Stop().has_value());
}

// A trial stopped by a person keeps its place but not its chance.
TEST_F(AshaTest, DoesNotPromoteAWithdrawnTrial) {
  Make({.trial_count = 9, .max_epochs = 9, .reduction = 3});
  for (int64_t trial = 1; trial <= 3; ++trial) StartAndReach(trial, trial);
  EXPECT_EQ(NextPromotion(), 1);

  Tell(TrialEvent::Kind::kWithdrawn, 1);

  EXPECT_EQ(NextPromotion(), 0);
}

// The rule that lets go of checkpoints, against an oracle that tries: whatever
// is stopped is never among the best floor(n / reduction) later on, however
// the rest turns out.
TEST_F(AshaTest, NeverStopsATrialThatWouldHaveBeenPromoted) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    RandomStream random(seed);
    Make({.trial_count = 20, .max_epochs = 8, .reduction = 2});
    std::map<int64_t, size_t> rung;  // Of each started trial.
    std::vector<RankedSet> results(4);
    std::map<int64_t, Rank> ranks;
    std::set<int64_t> stopped;
    std::set<int64_t> training;
    while (true) {
      const std::optional<Decision> next =
          training.size() < 4 ? asha_->Next() : std::nullopt;
      if (next.has_value()) {
        ASSERT_FALSE(stopped.contains(next->trial));
        const bool started = next->record.kind() == v1::TrialDecision::STARTED;
        rung[next->trial] = started ? 0 : rung[next->trial] + 1;
        asha_->Observe({.kind = started ? TrialEvent::Kind::kStarted
                                        : TrialEvent::Kind::kPromoted,
                        .trial = next->trial,
                        .epochs = next->record.until_epoch()});
        training.insert(next->trial);
        continue;
      }
      if (training.empty()) break;
      auto ends = training.begin();
      std::advance(ends,
                   random.UniformInt(static_cast<int64_t>(training.size())));
      const int64_t trial = *ends;
      training.erase(ends);
      const double loss = random.Uniform();
      Reach(trial, loss);
      ranks[trial] = Rank::Of(loss, trial);
      results[rung[trial]].Insert(ranks[trial]);
      while (const std::optional<Decision> stop = asha_->Stop()) {
        stopped.insert(stop->trial);
        Tell(TrialEvent::Kind::kWithdrawn, stop->trial);
      }
      for (const int64_t gone : stopped) {
        const RankedSet& there = results[rung[gone]];
        EXPECT_GT(there.PlaceOf(ranks[gone]), there.size() / 2)
            << "seed " << seed << " trial " << gone;
      }
    }
  }
}

}  // namespace
}  // namespace headstart::scheduler
