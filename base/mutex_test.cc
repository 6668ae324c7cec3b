#include "base/mutex.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace headstart {
namespace {

// A number that one thread hands to the next. What it guards is plain memory:
// under the thread sanitizer this test also shows that the lock is seen.
class Relay {
 public:
  void Set(int value) {
    MutexLock lock(&mu_);
    value_ = value;
  }

  void Await(int value) {
    MutexLock lock(&mu_);
    mu_.Await([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return value_ >= value; });
  }

  bool AwaitBriefly(int value) {
    MutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(
        [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return value_ >= value; },
        absl::Milliseconds(1));
  }

  void Add(int count) {
    for (int i = 0; i < count; ++i) {
      MutexLock lock(&mu_);
      ++value_;
    }
  }

 private:
  Mutex mu_;
  int value_ ABSL_GUARDED_BY(mu_) = 0;
};

TEST(MutexTest, KeepsThreadsApart) {
  Relay relay;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&relay] { relay.Add(1000); });
  }
  relay.Await(4000);
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(relay.AwaitBriefly(4000));
  EXPECT_FALSE(relay.AwaitBriefly(4001));
}

TEST(MutexTest, AwaitSeesWhatOtherThreadsDid) {
  Relay relay;
  int handed_over = 0;  // Guarded by the order of the relay alone.
  std::thread second([&] {
    relay.Await(1);
    handed_over *= 2;
    relay.Set(2);
  });

  handed_over = 21;
  relay.Set(1);
  relay.Await(2);

  EXPECT_EQ(handed_over, 42);
  second.join();
}

TEST(CondVarTest, WakesAWaiterAndTimesOut) {
  Mutex mu;
  CondVar changed;
  bool ready = false;
  std::thread setter([&] {
    MutexLock lock(&mu);
    ready = true;
    changed.SignalAll();
  });
  {
    MutexLock lock(&mu);
    while (!ready) changed.Wait(&mu);
    EXPECT_TRUE(changed.WaitWithTimeout(&mu, absl::Milliseconds(1)));
  }
  setter.join();
}

}  // namespace
}  // namespace headstart
