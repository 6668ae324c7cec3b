#include "worker/agent/slab_pool.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/status_matchers.h"

namespace headstart::worker {
namespace {

TEST(SlabPoolTest, KeepsSlabsThatAreLargeEnough) {
  MemoryBudget memory(1 << 20);
  SlabPool pool(3, memory);
  ASSERT_OK(pool.Prepare(1000));
  const char* const before = pool.slab(1).data();

  ASSERT_OK(pool.Prepare(500));
  EXPECT_EQ(pool.slab(1).data(), before);
  ASSERT_OK(pool.Prepare(5000));

  EXPECT_EQ(pool.descriptors().size(), 3u);
  for (int i = 0; i < 3; ++i) EXPECT_GE(pool.slab(i).bytes(), 5000);
}

TEST(SlabPoolTest, KnowsWhoHoldsASlab) {
  MemoryBudget memory(1 << 20);
  SlabPool pool(2, memory);
  EXPECT_FALSE(pool.Take(0).ok());  // None yet.
  ASSERT_OK(pool.Prepare(100));

  EXPECT_OK(pool.Take(1));
  EXPECT_THAT(pool.Take(1),
              StatusIs(absl::StatusCode::kInvalidArgument, "was not free"));
  EXPECT_THAT(pool.Take(2),
              StatusIs(absl::StatusCode::kInvalidArgument, "there are 2"));
  EXPECT_FALSE(pool.Take(-1).ok());
  pool.Give(1);
  EXPECT_OK(pool.Take(1));
}

TEST(SlabPoolTest, RefusesMoreThanTheMachineHas) {
  MemoryBudget machine(MemoryBudget::MachineBytes());
  SlabPool pool(3, machine);

  for (const int64_t bytes : {std::numeric_limits<int64_t>::max() / 4,
                              std::numeric_limits<int64_t>::max() / 2,
                              MemoryBudget::MachineBytes() / 3 + 1}) {
    EXPECT_THAT(pool.Prepare(bytes),
                StatusIs(absl::StatusCode::kResourceExhausted, "3 slabs"));
  }
}

TEST(SlabPoolTest, SharesOneBudgetWithOthers) {
  MemoryBudget memory(1000);
  SlabPool pool(2, memory);
  ASSERT_OK(pool.Prepare(300));
  {
    SlabPool other(2, memory);
    EXPECT_THAT(
        other.Prepare(300),
        StatusIs(absl::StatusCode::kResourceExhausted, "2 slabs of 300 bytes"));
    EXPECT_TRUE(other.descriptors().empty());
    ASSERT_OK(other.Prepare(200));

    EXPECT_FALSE(pool.Prepare(301).ok());
  }

  EXPECT_OK(pool.Prepare(500));
}

}  // namespace
}  // namespace headstart::worker
