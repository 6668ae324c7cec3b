#include "client/retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/status_matchers.h"

namespace headstart::client {
namespace {

// A clock on which waiting takes no time and is written down.
class SkippingClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::UnixEpoch() + passed_; }
  absl::Duration Monotonic() const override { return passed_; }
  bool WaitFor(absl::Duration duration, const StopEvent& stop) override {
    waits.push_back(duration);
    passed_ += duration;
    return stop.stopped();
  }

  std::vector<absl::Duration> waits;

 private:
  absl::Duration passed_;
};

class RetryTest : public ::testing::Test {
 protected:
  // Answers `failures` times Unavailable, then `last`.
  absl::Status Run(int64_t failures, absl::Status last, uint64_t seed = 1) {
    calls_ = 0;
    clock_ = SkippingClock();
    return RetryWhileUnavailable(
        options_, clock_, stop_, RandomStream(seed), [&] {
          return ++calls_ <= failures ? absl::UnavailableError("away") : last;
        });
  }

  RetryOptions options_;
  SkippingClock clock_;
  StopEvent stop_;
  int64_t calls_ = 0;
};

TEST_F(RetryTest, CallsOnceWhenItIsAnswered) {
  EXPECT_OK(Run(0, absl::OkStatus()));
  EXPECT_EQ(calls_, 1);
  EXPECT_TRUE(clock_.waits.empty());
}

TEST_F(RetryTest, RepeatsUnavailableAndNothingElse) {
  EXPECT_OK(Run(4, absl::OkStatus()));
  EXPECT_EQ(calls_, 5);

  for (const absl::StatusCode code :
       {absl::StatusCode::kAborted, absl::StatusCode::kDeadlineExceeded,
        absl::StatusCode::kInternal, absl::StatusCode::kResourceExhausted}) {
    EXPECT_THAT(Run(0, absl::Status(code, "no")), StatusIs(code, "no"));
    EXPECT_EQ(calls_, 1);
  }
}

TEST_F(RetryTest, WaitsAreDrawnBelowAGrowingCeiling) {
  absl::Duration longest_first;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    ASSERT_OK(Run(6, absl::OkStatus(), seed));
    ASSERT_EQ(clock_.waits.size(), 6u);
    absl::Duration ceiling = options_.wait_initial;
    for (const absl::Duration wait : clock_.waits) {
      EXPECT_GE(wait, absl::ZeroDuration());
      EXPECT_LT(wait, ceiling);
      ceiling = std::min(ceiling * options_.growth, options_.wait_max);
    }
    longest_first = std::max(longest_first, clock_.waits[0]);
  }
  EXPECT_GT(longest_first, options_.wait_initial * 0.9);  // Full jitter.
}

TEST_F(RetryTest, GivesUpWithTheLastAnswerWhenTheTimeIsUsedUp) {
  EXPECT_THAT(Run(1'000'000, absl::OkStatus()),
              StatusIs(absl::StatusCode::kUnavailable, "away"));
  EXPECT_LE(clock_.Monotonic(), options_.total_max);
  EXPECT_GT(clock_.Monotonic(), options_.total_max - options_.wait_max);
}

TEST_F(RetryTest, EndsWhenItIsStopped) {
  stop_.Stop();
  EXPECT_THAT(Run(1'000'000, absl::OkStatus()),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(calls_, 1);
}

}  // namespace
}  // namespace headstart::client
