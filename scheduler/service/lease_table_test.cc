#include "scheduler/service/lease_table.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace headstart::scheduler {
namespace {

using ::testing::IsEmpty;

constexpr absl::Duration kLease = absl::Seconds(30);
const absl::Time kWall = absl::FromUnixSeconds(1'800'000'000);

Event Leased(const std::string& run, int64_t attempt, int64_t token) {
  Event event;
  auto& leased = *event.mutable_attempt_leased();
  leased.set_run(run);
  leased.set_attempt(attempt);
  leased.set_token(token);
  leased.set_worker("workers/a");
  return event;
}

v1::SynchronizeRequest Call(const std::string& run, int64_t attempt,
                            int64_t token) {
  v1::SynchronizeRequest request;
  request.set_worker("workers/a");
  auto& status = *request.add_attempts();
  status.set_run(run);
  status.set_attempt(attempt);
  status.set_token(token);
  return request;
}

TEST(LeaseTableTest, NamesAnExpiredAttemptOnce) {
  LeaseTable table(kLease);
  table.Observe(Leased("studies/1/trials/1", 2, 9), absl::Seconds(100));

  EXPECT_THAT(table.TakeExpired(absl::Seconds(129)), IsEmpty());
  const auto expired = table.TakeExpired(absl::Seconds(130));
  ASSERT_EQ(expired.size(), 1u);
  EXPECT_EQ(expired[0].run, "studies/1/trials/1");
  EXPECT_EQ(expired[0].attempt, 2);
  EXPECT_THAT(table.TakeExpired(absl::Seconds(1000)), IsEmpty());
}

TEST(LeaseTableTest, BeginsTheLeaseAgainWhenTheWorkerSaysItHoldsIt) {
  LeaseTable table(kLease);
  table.Observe(Leased("studies/1/trials/1", 1, 9), absl::Seconds(0));

  table.Hear(Call("studies/1/trials/1", 1, 9), absl::Seconds(20), kWall);

  EXPECT_THAT(table.TakeExpired(absl::Seconds(49)), IsEmpty());
  EXPECT_EQ(table.TakeExpired(absl::Seconds(50)).size(), 1u);
}

TEST(LeaseTableTest, KnowsHowFarAnAttemptIsUntilItEnds) {
  LeaseTable table(kLease);
  const std::string run = "studies/1/trials/1";
  table.Observe(Leased(run, 1, 9), absl::Seconds(0));
  table.Hear(Call(run, 1, 9), absl::Seconds(1), kWall);
  EXPECT_EQ(table.FindProgress(run, 1), nullptr);
  EXPECT_EQ(table.progress_count(), 0);

  v1::SynchronizeRequest call = Call(run, 1, 9);
  call.mutable_attempts(0)->set_current_epoch(4);
  call.mutable_attempts(0)->set_epoch_progress(0.25);
  for (int repeat = 0; repeat < 2; ++repeat) {
    table.Hear(call, absl::Seconds(2), kWall);
  }
  ASSERT_NE(table.FindProgress(run, 1), nullptr);
  EXPECT_EQ(table.FindProgress(run, 1)->epoch(), 4);
  EXPECT_EQ(table.FindProgress(run, 1)->share(), 0.25);
  EXPECT_EQ(table.progress_count(), 1);
  EXPECT_EQ(table.FindProgress(run, 2), nullptr);

  Event ended;
  ended.mutable_attempt_ended()->set_run(run);
  ended.mutable_attempt_ended()->set_attempt(1);
  table.Observe(ended, absl::Seconds(3));
  EXPECT_EQ(table.FindProgress(run, 1), nullptr);
}

TEST(LeaseTableTest, DoesNotRenewWhatTheWorkerDoesNotHold) {
  LeaseTable table(kLease);
  table.Observe(Leased("studies/1/trials/1", 2, 9), absl::Seconds(0));

  table.Hear(Call("studies/1/trials/1", 1, 9), absl::Seconds(20), kWall);
  table.Hear(Call("studies/1/trials/1", 2, 8), absl::Seconds(20), kWall);
  v1::SynchronizeRequest other = Call("studies/1/trials/1", 2, 9);
  other.set_worker("workers/b");
  table.Hear(other, absl::Seconds(20), kWall);

  EXPECT_EQ(table.TakeExpired(absl::Seconds(30)).size(), 1u);
}

TEST(LeaseTableTest, ForgetsAttemptsThatEnd) {
  LeaseTable table(kLease);
  table.Observe(Leased("studies/1/trials/1", 1, 9), absl::Seconds(0));
  Event ended;
  ended.mutable_attempt_ended()->set_run("studies/1/trials/1");
  ended.mutable_attempt_ended()->set_attempt(1);

  table.Observe(ended, absl::Seconds(1));

  EXPECT_THAT(table.TakeExpired(absl::Seconds(100)), IsEmpty());
}

TEST(LeaseTableTest, NamesASilentWorkerOnceUntilItCallsAgain) {
  LeaseTable table(kLease);
  v1::SynchronizeRequest call;
  call.set_worker("workers/a");
  table.Hear(call, absl::Seconds(0), kWall);

  EXPECT_THAT(table.TakeGone(absl::Seconds(29)), IsEmpty());
  EXPECT_EQ(table.TakeGone(absl::Seconds(30)).size(), 1u);
  EXPECT_THAT(table.TakeGone(absl::Seconds(31)), IsEmpty());

  table.Hear(call, absl::Seconds(40), kWall + absl::Seconds(40));
  EXPECT_EQ(table.TakeGone(absl::Seconds(70)).size(), 1u);
  EXPECT_EQ(table.LastHeard("workers/a"), kWall + absl::Seconds(40));
  EXPECT_EQ(table.LastHeard("workers/b"), std::nullopt);
}

}  // namespace
}  // namespace headstart::scheduler
