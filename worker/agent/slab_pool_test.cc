#include "worker/agent/slab_pool.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/status_matchers.h"

namespace headstart::worker {
namespace {

TEST(SlabPoolTest, KeepsSlabsThatAreLargeEnough) {
  SlabPool pool(3);
  ASSERT_OK(pool.Prepare(1000));
  const char* const before = pool.slab(1).data();

  ASSERT_OK(pool.Prepare(500));
  EXPECT_EQ(pool.slab(1).data(), before);
  ASSERT_OK(pool.Prepare(5000));

  EXPECT_EQ(pool.descriptors().size(), 3u);
  for (int i = 0; i < 3; ++i) EXPECT_GE(pool.slab(i).bytes(), 5000);
}

TEST(SlabPoolTest, KnowsWhoHoldsASlab) {
  SlabPool pool(2);
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
  SlabPool pool(3);

  EXPECT_THAT(pool.Prepare(std::numeric_limits<int64_t>::max() / 4),
              StatusIs(absl::StatusCode::kResourceExhausted, "3 slabs"));
}

}  // namespace
}  // namespace headstart::worker
