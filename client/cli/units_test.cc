#include "client/cli/units.h"

#include <gtest/gtest.h>

namespace headstart::client {
namespace {

TEST(UnitsTest, Bytes) {
  EXPECT_EQ(HumanBytes(0), "0 bytes");
  EXPECT_EQ(HumanBytes(999), "999 bytes");
  EXPECT_EQ(HumanBytes(1000), "1.00 kB");
  EXPECT_EQ(HumanBytes(1'066'440), "1.07 MB");
  EXPECT_EQ(HumanBytes(9'996'000), "10.0 MB");
  EXPECT_EQ(HumanBytes(99'960'000), "100 MB");
  EXPECT_EQ(HumanBytes(999'600'000), "1.00 GB");
  EXPECT_EQ(HumanBytes(225'000'000'000), "225 GB");
  EXPECT_EQ(HumanBytes(INT64_MAX), "9.22 EB");
}

TEST(UnitsTest, Durations) {
  EXPECT_EQ(HumanDuration(absl::ZeroDuration()), "0.0 s");
  EXPECT_EQ(HumanDuration(absl::Milliseconds(420)), "0.4 s");
  EXPECT_EQ(HumanDuration(absl::Milliseconds(9960)), "10 s");
  EXPECT_EQ(HumanDuration(absl::Milliseconds(59'600)), "1 min 0 s");
  EXPECT_EQ(HumanDuration(absl::Seconds(200)), "3 min 20 s");
  EXPECT_EQ(HumanDuration(absl::Minutes(125)), "2 h 5 min");
  EXPECT_EQ(HumanDuration(absl::Hours(76)), "3 d 4 h");
  EXPECT_EQ(HumanDuration(absl::InfiniteDuration()), "-");
  EXPECT_EQ(HumanDuration(-absl::Seconds(1)), "-");
}

TEST(UnitsTest, SharesAndNumbers) {
  EXPECT_EQ(Percent(0.9788), "97.88 %");  // Exact for 10,000 examples.
  EXPECT_EQ(Percent(1), "100.00 %");
  EXPECT_EQ(Percent(std::nullopt), "-");
  EXPECT_EQ(Number(0.08132), "0.08132");
  EXPECT_EQ(Number(123456), "1.235e+05");
  EXPECT_EQ(Number(std::nullopt), "-");
  EXPECT_EQ(Count(1, "trial"), "1 trial");
  EXPECT_EQ(Count(0, "trial"), "0 trials");
}

TEST(UnitsTest, Instants) {
  google::protobuf::Timestamp time;
  EXPECT_EQ(Instant(time), "-");
  time.set_seconds(1'800'000'000);
  EXPECT_EQ(Instant(time), "2027-01-15 08:00:00Z");
}

}  // namespace
}  // namespace headstart::client
