#include "base/random_stream.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace headstart {
namespace {

using ::testing::ElementsAre;

TEST(PhiloxTest, GivesTheKnownAnswers) {
  EXPECT_THAT(Philox4x32({0, 0, 0, 0}, {0, 0}),
              ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  EXPECT_THAT(Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                         {0xffffffff, 0xffffffff}),
              ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  EXPECT_THAT(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                         {0xa4093822, 0x299f31d0}),
              ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
  EXPECT_THAT(Philox4x32({1, 0, 0, 0}, {42, 0}),
              ElementsAre(0xfcdb2127, 0x53ba6cfd, 0x838f5a6e, 0x744e06fb));
  EXPECT_THAT(Philox4x32({0, 3, 7, 0}, {2024, 0}),
              ElementsAre(0xb1462836, 0xbef3fe00, 0x3c94056c, 0x9801efcf));
}

TEST(UnitIntervalTest, TakesTheTop53Bits) {
  EXPECT_EQ(UnitInterval(0xb1462836bef3fe00), 0.6924767621666915);
  EXPECT_EQ(UnitInterval(0), 0.0);
  EXPECT_EQ(UnitInterval(0x7ff), 0.0);
  EXPECT_EQ(UnitInterval(~uint64_t{0}), 1.0 - 0x1p-53);
}

TEST(StableHashTest, IsFnv1a) {
  EXPECT_EQ(StableHash(""), 0xcbf29ce484222325);
  EXPECT_EQ(StableHash("a"), 0xaf63dc4c8601ec8c);
  EXPECT_EQ(StableHash("foobar"), 0x85944171f73967e8);
}

// Stored studies rely on these: a change here is a change of the format.
TEST(RandomStreamTest, GivesTheSameValuesForEver) {
  RandomStream root(42);
  EXPECT_EQ(root.Bits64(), 0x9ceaf05377f5493b);
  EXPECT_EQ(root.Bits64(), 0xfcdb212753ba6cfd);
  EXPECT_EQ(RandomStream(42).Child("trial", 12).Bits64(), 0x7dc99bbf24f0d4e3);
  EXPECT_EQ(RandomStream(42)
                .Child("trial", 12)
                .Child("optimizer.adam.learning_rate")
                .Bits64(),
            0x61eb10b54632d88e);
  EXPECT_EQ(RandomStream(42).Child("trial", 1).Child("seed").Bits63(),
            4165645837312604015);
}

TEST(RandomStreamTest, ChildrenDoNotDependOnDraws) {
  RandomStream drawn(7);
  drawn.Bits64();
  drawn.Uniform();

  EXPECT_EQ(drawn.Child("a", 3).Bits64(),
            RandomStream(7).Child("a", 3).Bits64());
}

TEST(RandomStreamTest, ACopyGoesOnWhereTheOriginalWas) {
  RandomStream first(7);
  first.Bits64();
  RandomStream second = first;

  EXPECT_EQ(first.Bits64(), second.Bits64());
}

TEST(RandomStreamTest, AddressesDiffer) {
  std::set<uint64_t> values;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    RandomStream root(seed);
    for (uint64_t n = 0; n < 10; ++n) {
      values.insert(root.Child("a", n).Bits64());
      values.insert(root.Child("b", n).Bits64());
      values.insert(root.Child("a").Child("b", n).Bits64());
      values.insert(root.Bits64());
    }
  }
  EXPECT_EQ(values.size(), 400u);  // Child("a", 0) is not Child("a").Child(..).
}

TEST(RandomStreamTest, UniformFillsTheUnitInterval) {
  constexpr int kCount = 100'000;
  RandomStream stream(1);
  double sum = 0;
  double square_sum = 0;
  for (int i = 0; i < kCount; ++i) {
    const double value = stream.Uniform();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
    square_sum += value * value;
  }
  EXPECT_NEAR(sum / kCount, 0.5, 0.005);
  EXPECT_NEAR(square_sum / kCount, 1.0 / 3, 0.005);
}

TEST(RandomStreamTest, UniformIntReachesEveryValueEquallyOften) {
  constexpr int kCount = 60'000;
  RandomStream stream(2);
  std::vector<int> counts(6);
  for (int i = 0; i < kCount; ++i) ++counts.at(stream.UniformInt(6));
  for (const int count : counts) EXPECT_NEAR(count, kCount / 6.0, 500);
}

TEST(RandomStreamTest, UniformIntTakesTheEndsOfItsRange) {
  RandomStream stream(3);
  constexpr int64_t kMax = int64_t{1} << 53;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(stream.UniformInt(1), 0);
    EXPECT_LT(stream.UniformInt(kMax), kMax);
    EXPECT_LT(stream.UniformInt(kMax - 1), kMax - 1);
  }
  EXPECT_DEATH(stream.UniformInt(0), "n is 0");
  EXPECT_DEATH(stream.UniformInt(kMax + 1), "bug");
}

TEST(RandomStreamTest, Bits63IsNeverNegative) {
  RandomStream stream(4);
  for (int i = 0; i < 1000; ++i) EXPECT_GE(stream.Bits63(), 0);
}

}  // namespace
}  // namespace headstart
