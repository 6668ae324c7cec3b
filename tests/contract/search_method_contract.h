// What every SearchMethod promises. A method's test instantiates it:
//
//   INSTANTIATE_TEST_SUITE_P(Asha, SearchMethodContract,
//                            testing::Values(&MakeAsha));
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random_stream.h"
#include "scheduler/search/search_method.h"

namespace headstart::scheduler {

// A method for 24 trials of at most 9 epochs.
using MakeSearchMethod = std::unique_ptr<SearchMethod> (*)();

class SearchMethodContract : public testing::TestWithParam<MakeSearchMethod> {
 protected:
  // Runs a whole search with a few slots: trials end in a random order, with
  // random losses, some of them NaN, and some fail, are retried or withdrawn.
  // Checks every promise on the way and returns the decisions in words.
  std::vector<std::string> RunSearch(int64_t seed) {
    const std::unique_ptr<SearchMethod> method = GetParam()();
    RandomStream random(static_cast<uint64_t>(seed));
    std::map<int64_t, int64_t> training;  // Trial to the epoch it heads for.
    std::map<int64_t, int64_t> paused;    // Trial to its epoch.
    std::set<int64_t> failed;
    std::vector<std::string> decisions;
    int64_t started = 0;

    for (int64_t step = 0;; ++step) {
      EXPECT_LT(step, 10'000) << "the search does not end";
      if (step == 10'000) break;
      while (const std::optional<Decision> stop = method->Stop()) {
        EXPECT_TRUE(paused.contains(stop->trial));
        EXPECT_FALSE(method->IsPromotable(stop->trial));
        decisions.push_back(absl::StrCat("stop ", stop->trial));
        paused.erase(stop->trial);
        method->Observe(
            {.kind = TrialEvent::Kind::kWithdrawn, .trial = stop->trial});
      }
      // What is still paused can be promoted; nothing else can.
      for (int64_t trial = 1; trial <= started; ++trial) {
        EXPECT_EQ(method->IsPromotable(trial), paused.contains(trial));
      }

      const std::optional<Decision> next =
          training.size() < 3 ? method->Next() : std::nullopt;
      if (next.has_value()) {
        const int64_t until = next->record.until_epoch();
        EXPECT_THAT(method->rung_epochs(), testing::Contains(until));
        EXPECT_FALSE(training.contains(next->trial));
        TrialEvent event{.trial = next->trial, .epochs = until};
        if (next->record.kind() == v1::TrialDecision::STARTED) {
          EXPECT_EQ(next->trial, ++started);
          event.kind = TrialEvent::Kind::kStarted;
        } else {
          EXPECT_EQ(next->record.kind(), v1::TrialDecision::PROMOTED);
          EXPECT_TRUE(paused.contains(next->trial));
          EXPECT_GT(until, paused[next->trial]);
          paused.erase(next->trial);
          event.kind = TrialEvent::Kind::kPromoted;
        }
        decisions.push_back(absl::StrCat("train ", next->trial, "@", until));
        training[next->trial] = until;
        method->Observe(event);
        continue;
      }
      if (training.empty()) break;

      auto ends = training.begin();
      std::advance(ends,
                   random.UniformInt(static_cast<int64_t>(training.size())));
      const auto [trial, epochs] = *ends;
      const double fate = random.Uniform();
      if (fate < 0.1) {
        method->Observe({.kind = TrialEvent::Kind::kFailed, .trial = trial});
        if (fate < 0.05) {
          method->Observe({.kind = TrialEvent::Kind::kRetried, .trial = trial});
          continue;
        }
      } else if (fate < 0.15) {
        method->Observe({.kind = TrialEvent::Kind::kWithdrawn, .trial = trial});
      } else {
        // Coarse, so that there are ties.
        const double loss =
            std::floor(random.Uniform() * 20) / static_cast<double>(epochs);
        const Decision reached = method->Reach(trial, loss);
        EXPECT_EQ(reached.trial, trial);
        const bool last = epochs == method->rung_epochs().back();
        EXPECT_EQ(reached.record.kind(), last ? v1::TrialDecision::COMPLETED
                                              : v1::TrialDecision::PAUSED);
        EXPECT_EQ(reached.record.rung_epochs(), epochs);
        EXPECT_GE(reached.record.rank(), 1);
        EXPECT_LE(reached.record.rank(), reached.record.rung_size());
        EXPECT_GE(reached.record.still_expected(), 0);
        method->Observe(
            {.kind = TrialEvent::Kind::kReached, .trial = trial, .loss = loss});
        if (!last) paused[trial] = epochs;
      }
      training.erase(ends);
    }
    EXPECT_EQ(started, method->trial_count());
    EXPECT_THAT(paused, testing::IsEmpty());
    return decisions;
  }
};

TEST_P(SearchMethodContract, EndsAndKeepsItsPromises) {
  for (int64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(seed);
    RunSearch(seed);
  }
}

TEST_P(SearchMethodContract, DecidesTheSameFromTheSameFacts) {
  EXPECT_EQ(RunSearch(7), RunSearch(7));
}

TEST_P(SearchMethodContract, SaysWhyForEveryDecision) {
  const std::unique_ptr<SearchMethod> method = GetParam()();

  const std::optional<Decision> next = method->Next();

  ASSERT_TRUE(next.has_value());
  EXPECT_THAT(next->record.text(), testing::HasSubstr("Started"));
  EXPECT_THAT(next->record.rule_version(), testing::HasSubstr("/"));
}

}  // namespace headstart::scheduler
