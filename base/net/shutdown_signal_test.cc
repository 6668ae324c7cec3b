#include "base/net/shutdown_signal.h"

#include <signal.h>

#include <thread>

#include "gtest/gtest.h"

namespace headstart {
namespace {

TEST(ShutdownSignalTest, EitherSignalStops) {
  for (const int number : {SIGTERM, SIGINT}) {
    ShutdownSignal shutdown;
    EXPECT_FALSE(shutdown.event().stopped());
    raise(number);
    shutdown.Wait();
    EXPECT_TRUE(shutdown.event().stopped());
  }
}

TEST(ShutdownSignalTest, AnyThreadMayBegin) {
  ShutdownSignal shutdown;
  std::thread other([&shutdown] { shutdown.event().Stop(); });
  shutdown.Wait();
  other.join();
}

TEST(ShutdownSignalDeathTest, TheSecondSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        ShutdownSignal shutdown;
        raise(SIGINT);
        shutdown.Wait();
        raise(SIGINT);
      },
      ::testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace headstart
