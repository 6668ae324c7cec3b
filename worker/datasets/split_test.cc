#include "worker/datasets/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "tests/support/status_matchers.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// 12 examples of each of 3 classes, in the order 0 1 2 0 1 2 ...
std::vector<int32_t> Labels() {
  std::vector<int32_t> labels;
  for (int i = 0; i < 36; ++i) labels.push_back(i % 3);
  return labels;
}

std::map<int, int> CountByClass(const std::vector<int32_t>& rows) {
  std::map<int, int> counts;
  for (const int32_t row : rows) ++counts[Labels()[row]];
  return counts;
}

TEST(SplitTest, TakesEverythingByDefault) {
  ASSERT_OK_AND_ASSIGN(const Split split,
                       SplitTrainingPart(Labels(), 3, {}, 0));

  EXPECT_THAT(split.training.rows, SizeIs(36));
  EXPECT_THAT(split.validation.rows, IsEmpty());
}

TEST(SplitTest, TakesTheFirstExamplesOfEachClass) {
  ASSERT_OK_AND_ASSIGN(
      const Split split,
      SplitTrainingPart(Labels(), 3, {.train_examples = 6}, 0));

  EXPECT_THAT(split.training.rows, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(SplitTest, HoldsOutTheSameNumberOfEveryClass) {
  ASSERT_OK_AND_ASSIGN(
      const Split split,
      SplitTrainingPart(Labels(), 3,
                        {.validation_examples = 9, .train_examples = 30}, 0));

  EXPECT_EQ(CountByClass(split.validation.rows),
            (std::map<int, int>{{0, 3}, {1, 3}, {2, 3}}));
  EXPECT_EQ(CountByClass(split.training.rows),
            (std::map<int, int>{{0, 7}, {1, 7}, {2, 7}}));
  std::set<int32_t> all(split.training.rows.begin(), split.training.rows.end());
  all.insert(split.validation.rows.begin(), split.validation.rows.end());
  EXPECT_EQ(all.size(), 30u);
  EXPECT_EQ(*all.rbegin(), 29);
  EXPECT_TRUE(
      std::is_sorted(split.training.rows.begin(), split.training.rows.end()));
}

TEST(SplitTest, DependsOnTheSplitSeed) {
  const auto validation = [](int64_t seed) {
    return SplitTrainingPart(Labels(), 3,
                             {.validation_examples = 9, .split_seed = seed}, 0)
        ->validation.rows;
  };

  EXPECT_EQ(validation(1), validation(1));
  EXPECT_NE(validation(1), validation(2));
  EXPECT_NE(validation(-1), validation(1));
}

TEST(SplitTest, RefusesWhatCannotBe) {
  const auto split = [](const SplitOptions& options) {
    return SplitTrainingPart(Labels(), 3, options, 0).status();
  };

  EXPECT_THAT(
      split({.validation_examples = 10}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "validation_examples: must be 0 or a multiple of the 3"));
  EXPECT_THAT(split({.validation_examples = -3}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(split({.validation_examples = 36}),
              StatusIs(absl::StatusCode::kInvalidArgument, "at least one"));
  EXPECT_THAT(split({.train_examples = 39}),
              StatusIs(absl::StatusCode::kInvalidArgument, "class 0 has 12"));
  EXPECT_THAT(
      split({.validation_examples = 6, .train_examples = 6}),
      StatusIs(absl::StatusCode::kInvalidArgument, "validation_examples"));
}

TEST(SplitTest, PlainHoldsOutAnyNumberOfAnyExamples) {
  const auto validation = [](int64_t seed) {
    return SplitTrainingPart(Labels(), 3,
                             {.validation_examples = 10,
                              .split_seed = seed,
                              .split = SplitKind::kPlain},
                             0)
        ->validation.rows;
  };

  std::set<std::map<int, int>> counts;
  for (int seed = 0; seed < 20; ++seed) {
    ASSERT_THAT(validation(seed), SizeIs(10));
    counts.insert(CountByClass(validation(seed)));
  }
  EXPECT_GT(counts.size(), 5u);  // Not always the same number of a class.
  EXPECT_THAT(SplitTrainingPart(
                  Labels(), 3,
                  {.validation_examples = 36, .split = SplitKind::kPlain}, 0),
              StatusIs(absl::StatusCode::kInvalidArgument, "from 0 to 35"));
}

TEST(SplitTest, PerRunIsDrawnByTheRunsSeedAlone) {
  for (const SplitKind kind : {SplitKind::kStratified, SplitKind::kPlain}) {
    const auto validation = [kind](int64_t split_seed, int64_t run_seed) {
      return SplitTrainingPart(Labels(), 3,
                               {.validation_examples = 9,
                                .split_seed = split_seed,
                                .split = kind,
                                .split_per_run = true},
                               run_seed)
          ->validation.rows;
    };

    EXPECT_EQ(validation(1, 7), validation(2, 7));
    EXPECT_NE(validation(1, 7), validation(1, 8));
  }
}

// 20,000 examples of 10 classes.
std::vector<int32_t> ManyLabels() {
  std::vector<int32_t> labels(20'000);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = i % 10;
  return labels;
}

int64_t CountChanged(const Rows& rows) {
  const std::vector<int32_t> labels = ManyLabels();
  int64_t changed = 0;
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    changed += labels[rows.rows[i]] != rows.labels[i];
  }
  return changed;
}

TEST(LabelNoiseTest, DrawsFromAllClasses) {
  ASSERT_OK_AND_ASSIGN(
      const Split split,
      SplitTrainingPart(ManyLabels(), 10, {.label_noise = {.fraction = 0.4}},
                        0));

  // 8,000 drawn, of which a tenth keep their label: sigma is 27.
  EXPECT_NEAR(CountChanged(split.training), 7200, 110);
  std::map<int, int> counts;
  for (const int32_t label : split.training.labels) ++counts[label];
  EXPECT_THAT(counts, SizeIs(10));
  for (const auto& [label, count] : counts) EXPECT_NEAR(count, 2000, 130);
}

TEST(LabelNoiseTest, LeavesTheSplitAsItIs) {
  const SplitOptions clean = {.validation_examples = 5000, .chunks = 4};
  SplitOptions noisy = clean;
  noisy.label_noise = {.fraction = 0.2};

  ASSERT_OK_AND_ASSIGN(const Split a,
                       SplitTrainingPart(ManyLabels(), 10, clean, 0));
  ASSERT_OK_AND_ASSIGN(const Split b,
                       SplitTrainingPart(ManyLabels(), 10, noisy, 0));

  EXPECT_EQ(a.training.rows, b.training.rows);
  EXPECT_EQ(a.validation.rows, b.validation.rows);
  EXPECT_EQ(CountChanged(a.training) + CountChanged(a.validation), 0);
  EXPECT_NEAR(CountChanged(b.validation), 900, 110);
  noisy.label_noise.clean_validation = true;
  ASSERT_OK_AND_ASSIGN(const Split c,
                       SplitTrainingPart(ManyLabels(), 10, noisy, 0));
  EXPECT_EQ(CountChanged(c.validation), 0);
  EXPECT_EQ(c.training.labels, b.training.labels);
}

TEST(LabelNoiseTest, DependsOnTheSeedThatItIsDrawnBy) {
  const auto labels = [](int64_t seed, bool per_run, int64_t run_seed) {
    return SplitTrainingPart(ManyLabels(), 10,
                             {.label_noise = {.fraction = 0.2,
                                              .seed = seed,
                                              .per_run = per_run}},
                             run_seed)
        ->training.labels;
  };

  EXPECT_EQ(labels(1, false, 5), labels(1, false, 6));
  EXPECT_NE(labels(1, false, 5), labels(2, false, 5));
  EXPECT_EQ(labels(1, true, 5), labels(2, true, 5));
  EXPECT_NE(labels(1, true, 5), labels(1, true, 6));
}

TEST(LabelNoiseTest, RefusesAFractionThatIsNone) {
  for (const double fraction : {-0.1, 1.1, std::nan("")}) {
    EXPECT_THAT(SplitTrainingPart(Labels(), 3,
                                  {.label_noise = {.fraction = fraction}}, 0),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         "label_noise.fraction: must be from 0 to 1"));
  }
}

TEST(ChunksTest, GrowUntilTheyAreAll) {
  std::set<int32_t> before;
  for (int64_t chunk = 1; chunk <= 5; ++chunk) {
    ASSERT_OK_AND_ASSIGN(
        const Split split,
        SplitTrainingPart(
            ManyLabels(), 10,
            {.validation_examples = 4990, .chunks = 5, .chunk = chunk}, 0));

    EXPECT_THAT(split.training.rows, SizeIs(15'010 * chunk / 5));
    EXPECT_THAT(split.validation.rows, SizeIs(4990));
    const std::set<int32_t> now(split.training.rows.begin(),
                                split.training.rows.end());
    EXPECT_TRUE(
        std::includes(now.begin(), now.end(), before.begin(), before.end()));
    before = now;
  }
}

TEST(ChunksTest, RefusesOnesThatAreNotThere) {
  const auto split = [](int64_t chunks, int64_t chunk) {
    return SplitTrainingPart(Labels(), 3, {.chunks = chunks, .chunk = chunk}, 0)
        .status();
  };

  for (const auto& [chunks, chunk] :
       std::vector<std::pair<int, int>>{{0, 1}, {2, 3}, {2, 0}}) {
    EXPECT_THAT(split(chunks, chunk),
                StatusIs(absl::StatusCode::kInvalidArgument, "chunk: must be"));
  }
  EXPECT_THAT(split(50, 1),
              StatusIs(absl::StatusCode::kInvalidArgument, "no example"));
}

TEST(EpochOrderTest, IsAPermutation) {
  std::vector<int32_t> order = EpochOrder(42, 1, 1000);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));

  std::sort(order.begin(), order.end());

  for (int32_t i = 0; i < 1000; ++i) ASSERT_EQ(order[i], i);
}

TEST(EpochOrderTest, IsAPureFunctionOfSeedAndEpoch) {
  EXPECT_EQ(EpochOrder(42, 3, 100), EpochOrder(42, 3, 100));
  EXPECT_NE(EpochOrder(42, 3, 100), EpochOrder(42, 4, 100));
  EXPECT_NE(EpochOrder(42, 3, 100), EpochOrder(43, 3, 100));
  EXPECT_THAT(EpochOrder(1, 1, 1), ElementsAre(0));
}

TEST(EpochOrderTest, StaysWhatStoredRunsWereTrainedWith) {
  EXPECT_THAT(EpochOrder(42, 1, 10), ElementsAre(5, 2, 9, 8, 1, 3, 0, 6, 7, 4));
}

}  // namespace
}  // namespace headstart::worker
