#include "base/clock.h"

#include <thread>

#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace headstart {
namespace {

TEST(StopEventTest, StopsOnceAndForAll) {
  StopEvent stop;
  EXPECT_FALSE(stop.stopped());
  std::thread waiter([&stop] { stop.Wait(); });
  stop.Stop();
  stop.Stop();
  waiter.join();
  EXPECT_TRUE(stop.stopped());
}

TEST(RealClockTest, NeverGoesBack) {
  Clock& clock = Clock::Real();
  absl::Duration last = clock.Monotonic();
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration next = clock.Monotonic();
    EXPECT_GE(next, last);
    last = next;
  }
}

TEST(RealClockTest, WaitsForAtLeastTheTime) {
  Clock& clock = Clock::Real();
  const StopEvent stop;
  const absl::Duration start = clock.Monotonic();

  EXPECT_FALSE(clock.WaitFor(absl::Milliseconds(2), stop));

  EXPECT_GE(clock.Monotonic() - start, absl::Milliseconds(2));
}

TEST(RealClockTest, AStopEndsTheWait) {
  StopEvent stop;
  std::thread stopper([&stop] { stop.Stop(); });
  EXPECT_TRUE(Clock::Real().WaitFor(absl::InfiniteDuration(), stop));
  stopper.join();
}

TEST(FakeClockTest, TimePassesWhenTheTestSaysSo) {
  FakeClock clock;
  const absl::Time start = clock.Now();
  const absl::Duration monotonic = clock.Monotonic();

  clock.Advance(absl::Seconds(5));
  EXPECT_EQ(clock.Now(), start + absl::Seconds(5));
  EXPECT_EQ(clock.Monotonic(), monotonic + absl::Seconds(5));

  clock.SetNow(start);
  EXPECT_EQ(clock.Now(), start);
  EXPECT_EQ(clock.Monotonic(), monotonic + absl::Seconds(5));
}

TEST(FakeClockTest, AdvanceEndsAWaitThatIsDueAndNoOther) {
  FakeClock clock;
  StopEvent stop;
  bool long_wait_was_stopped = false;
  std::thread short_wait(
      [&] { EXPECT_FALSE(clock.WaitFor(absl::Seconds(10), stop)); });
  std::thread long_wait(
      [&] { long_wait_was_stopped = clock.WaitFor(absl::Hours(1), stop); });
  clock.AwaitWaiters(2);

  clock.Advance(absl::Seconds(9));
  clock.Advance(absl::Seconds(1));
  short_wait.join();
  stop.Stop();
  long_wait.join();

  EXPECT_TRUE(long_wait_was_stopped);
}

}  // namespace
}  // namespace headstart
