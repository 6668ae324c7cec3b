#include "worker/trainer/arena.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include "tests/support/status_matchers.h"

namespace headstart::worker {
namespace {

// One weight, one buffer, and the optimizer's momentum.
struct World {
  explicit World(int64_t count = 100)
      : weight(at::arange(count, at::kFloat).set_requires_grad(true)),
        buffer(at::zeros({3}, at::kFloat)),
        optimizer(
            MakeOptimizer({SgdOptions{.learning_rate = 0.1, .momentum = 0.9}},
                          {{.name = "weight", .tensor = weight}})) {
    tensors = {
        {"weight", weight, TensorRole::kParameter},
        {"buffer", buffer, TensorRole::kBuffer},
        {"momentum", optimizer->State()[0].second, TensorRole::kOptimizer}};
    table = MakeTable(tensors);
    for (int i = 0; i < 2; ++i) {
      slabs.push_back(Slab::Create(SlabBytes(table)).value());
    }
  }

  // Forward and backward; the loss is what keeps the graph.
  at::Tensor Backward() {
    weight.mutable_grad() = at::Tensor();
    at::Tensor loss = (weight * weight).sum();
    loss.backward({}, /*retain_graph=*/true);
    return loss;
  }

  std::string Bytes(int slab) const {
    return std::string(slabs[slab].data(), slabs[slab].bytes());
  }

  at::Tensor weight;
  at::Tensor buffer;
  std::unique_ptr<Optimizer> optimizer;
  std::vector<StateTensor> tensors;
  TensorTable table;
  std::vector<Slab> slabs;
};

TEST(ArenaTest, LeavesTheOldSlabAsItWas) {
  World world;
  Arena arena(world.tensors, world.table, world.slabs[0]);
  world.Backward();
  arena.Step(*world.optimizer);
  world.buffer.fill_(7);
  const std::string left = world.Bytes(0);

  arena.MoveTo(world.slabs[1]);
  world.buffer.add_(1);
  world.Backward();
  arena.Step(*world.optimizer);
  world.Backward();
  arena.Step(*world.optimizer);

  EXPECT_EQ(world.Bytes(0), left);
  EXPECT_EQ(world.weight.const_data_ptr(),
            world.slabs[1].data() + world.table[0].offset);
  EXPECT_TRUE(at::equal(world.buffer, at::full({3}, 8.0f)));
}

class ArenaMoveTest : public ::testing::TestWithParam<int64_t> {};

TEST_P(ArenaMoveTest, GivesTheSameBitsAsStaying) {
  // Larger than a block of the kernels, and no multiple of any vector.
  World moving(40'003);
  World staying(40'003);
  Arena first(moving.tensors, moving.table, moving.slabs[0],
              /*cache_bytes=*/GetParam());
  Arena second(staying.tensors, staying.table, staying.slabs[0]);

  for (int step = 1; step <= 4; ++step) {
    first.MoveTo(moving.slabs[step % 2]);
    second.MoveTo(staying.slabs[0]);
    EXPECT_FALSE(second.moving());
    moving.Backward();
    staying.Backward();
    first.Step(*moving.optimizer);
    second.Step(*staying.optimizer);
  }

  EXPECT_EQ(moving.Bytes(0), staying.Bytes(0));
}

// Around the caches, and through them.
INSTANTIATE_TEST_SUITE_P(All, ArenaMoveTest,
                         ::testing::Values(0, int64_t{1} << 40));

TEST(ArenaTest, CopiesWhereAGraphIsAlive) {
  World alive;
  World ended;
  Arena first(alive.tensors, alive.table, alive.slabs[0]);
  Arena second(ended.tensors, ended.table, ended.slabs[0]);
  first.MoveTo(alive.slabs[1]);
  second.MoveTo(ended.slabs[1]);
  const at::Tensor graph = alive.Backward();
  ended.Backward();

  first.Step(*alive.optimizer);
  second.Step(*ended.optimizer);

  EXPECT_EQ(alive.Bytes(1), ended.Bytes(1));
  // The graph saved the weights of before: it must not go on with the new ones.
  EXPECT_THROW(graph.backward(), c10::Error);
}

TEST(ArenaTest, AfterSettleEverythingMayBeWrittenInPlace) {
  World world;
  Arena arena(world.tensors, world.table, world.slabs[0]);
  world.Backward();
  arena.Step(*world.optimizer);
  const std::string left = world.Bytes(0);
  arena.MoveTo(world.slabs[1]);

  arena.Settle();
  EXPECT_FALSE(arena.moving());
  EXPECT_EQ(world.Bytes(1), left);
  for (const StateTensor& each : world.tensors) {
    at::Tensor(each.tensor.detach()).fill_(7);
  }
  EXPECT_EQ(world.Bytes(0), left);

  world.Backward();
  arena.Step(*world.optimizer);
  EXPECT_EQ(world.Bytes(0), left);
  // 7 - 0.1 (0.9 * 7 + 2 * 7)
  EXPECT_TRUE(at::allclose(world.weight, at::full({100}, 4.97f)));
}

TEST(ArenaTest, KeepsAParameterWithoutAGradient) {
  World world;
  Arena arena(world.tensors, world.table, world.slabs[0]);
  arena.MoveTo(world.slabs[1]);

  arena.Step(*world.optimizer);

  EXPECT_TRUE(at::equal(world.weight, at::arange(100, at::kFloat)));
  EXPECT_FALSE(arena.moving());
}

TEST(ArenaTest, HoldsOnlyTensorsWithMemoryOfTheirOwn) {
  const at::Tensor whole = at::zeros({4, 4});
  const auto can_hold = [](const at::Tensor& tensor) {
    return Arena::CanHold({{"b.weight", tensor, TensorRole::kParameter}});
  };

  EXPECT_OK(can_hold(whole));
  EXPECT_THAT(Arena::CanHold({{"a", whole, TensorRole::kParameter},
                              {"b", whole, TensorRole::kParameter}}),
              StatusIs(absl::StatusCode::kFailedPrecondition, "b shares"));
  const at::Tensor view = whole.detach();
  EXPECT_THAT(can_hold(view),
              StatusIs(absl::StatusCode::kFailedPrecondition, "shares"));
  EXPECT_THAT(can_hold(at::zeros({4, 3}).t()),
              StatusIs(absl::StatusCode::kFailedPrecondition, "contiguous"));
}

}  // namespace
}  // namespace headstart::worker
