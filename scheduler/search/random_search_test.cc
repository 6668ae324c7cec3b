#include "scheduler/search/random_search.h"

#include "gtest/gtest.h"

#include "tests/contract/search_method_contract.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

std::unique_ptr<SearchMethod> MakeRandom() {
  return *RandomSearch::Create(24, 9);
}
INSTANTIATE_TEST_SUITE_P(Random, SearchMethodContract,
                         testing::Values(&MakeRandom));

TEST(RandomSearchTest, RefusesACountOutsideItsRange) {
  EXPECT_THAT(RandomSearch::Create(0, 9),
              StatusIs(absl::StatusCode::kInvalidArgument, "trial_count"));
  EXPECT_THAT(RandomSearch::Create(1'000'001, 9),
              StatusIs(absl::StatusCode::kInvalidArgument, "trial_count"));
}

TEST(RandomSearchTest, TrainsEveryTrialToTheEnd) {
  const std::unique_ptr<SearchMethod> method = *RandomSearch::Create(2, 9);
  for (int64_t trial = 1; trial <= 2; ++trial) {
    EXPECT_EQ(method->Next()->record.until_epoch(), 9);
    method->Observe(
        {.kind = TrialEvent::Kind::kStarted, .trial = trial, .epochs = 9});
  }
  EXPECT_FALSE(method->Next().has_value());
}

}  // namespace
}  // namespace headstart::scheduler
