#include "worker/trainer_protocol/slab.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <limits>

#include "base/random_stream.h"

namespace headstart::worker {
namespace {

using ::testing::HasSubstr;

TensorTable SomeTable() {
  auto table = LayOut({
      {.name = "layers.0.weight", .dtype = DType::kF32, .shape = {300, 784}},
      {.name = "layers.0.bias", .dtype = DType::kF32, .shape = {300}},
      {.name = "count",
       .dtype = DType::kI64,
       .shape = {},
       .role = TensorRole::kBuffer},
      {.name = "empty", .dtype = DType::kF32, .shape = {0, 4}},
      {.name = "generator",
       .dtype = DType::kU8,
       .shape = {5056},
       .role = TensorRole::kState},
  });
  EXPECT_TRUE(table.ok()) << table.status();
  return *table;
}

TEST(TensorTableTest, LaysTensorsOutAlignedOneAfterAnother) {
  const TensorTable table = SomeTable();

  EXPECT_EQ(table[0].offset, 0);
  EXPECT_EQ(table[0].bytes, 940'800);
  EXPECT_EQ(table[1].offset, 940'800);  // A multiple of 64.
  EXPECT_EQ(table[1].bytes, 1'200);
  EXPECT_EQ(table[2].offset, 942'016);
  EXPECT_EQ(table[2].bytes, 8);
  EXPECT_EQ(table[3].bytes, 0);
  EXPECT_EQ(SlabBytes(table), table[4].offset + 5056);
  EXPECT_TRUE(CheckTable(table, SlabBytes(table)).ok());
}

TEST(TensorTableTest, RefusesATableThatDoesNotFitItsSlab) {
  const TensorTable good = SomeTable();
  const int64_t bytes = SlabBytes(good);

  struct Case {
    const char* says;
    void (*spoil)(TensorTable&);
  };
  const Case cases[] = {
      {"beyond the slab", [](TensorTable& t) { t[4].offset += 64; }},
      {"multiple of 64", [](TensorTable& t) { t[1].offset += 8; }},
      {"multiple of 64", [](TensorTable& t) { t[0].offset = -64; }},
      {"overlaps", [](TensorTable& t) { t[1].offset -= 64; }},
      {"overlaps", [](TensorTable& t) { t[2].offset = 0; }},
      {"twice", [](TensorTable& t) { t[1].name = t[0].name; }},
      {"no name", [](TensorTable& t) { t[1].name.clear(); }},
      {"takes 1200", [](TensorTable& t) { t[1].bytes = 1199; }},
      {"takes 2400", [](TensorTable& t) { t[1].dtype = DType::kF64; }},
      {"no size", [](TensorTable& t) { t[1].shape = {-300}; }},
      {"no size",
       [](TensorTable& t) {
         t[1].shape = {1ll << 32, 1ll << 32};
       }},
      {"dimensions",
       [](TensorTable& t) { t[1].shape = std::vector<int64_t>(17, 1); }},
      {"beyond the slab",
       [](TensorTable& t) {
         t[0].offset = std::numeric_limits<int64_t>::max() - 63;
       }},
  };
  for (const Case& c : cases) {
    TensorTable table = good;
    c.spoil(table);
    const absl::Status status = CheckTable(table, bytes);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.says;
    EXPECT_THAT(status.message(), HasSubstr(c.says));
  }
}

TEST(TensorTableTest, RefusesToLayOutMoreThanMemory) {
  EXPECT_FALSE(LayOut({{.name = "a", .shape = {1ll << 60}},
                       {.name = "b", .shape = {1ll << 60}}})
                   .ok());
}

// Whatever random fields a table has: when the check accepts it, every byte of
// every entry lies within the slab and no two entries share one.
TEST(TensorTableTest, AcceptsOnlyTablesThatAreSafeToRead) {
  RandomStream random = RandomStream(7).Child("tables");
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    constexpr int64_t kSlabBytes = 1024;
    TensorTable table;
    const int64_t count = 1 + random.UniformInt(4);
    for (int64_t i = 0; i < count; ++i) {
      TableEntry entry;
      entry.name =
          std::string(1, static_cast<char>('a' + random.UniformInt(8)));
      entry.dtype = random.UniformInt(2) == 0 ? DType::kF32 : DType::kU8;
      entry.shape = {static_cast<int64_t>(random.UniformInt(200)) - 2};
      entry.offset = (static_cast<int64_t>(random.UniformInt(20)) - 1) * 64 +
                     (random.UniformInt(8) == 0 ? 1 : 0);
      entry.bytes = entry.shape[0] * DTypeSize(entry.dtype) +
                    (random.UniformInt(8) == 0 ? 1 : 0);
      table.push_back(entry);
    }
    if (!CheckTable(table, kSlabBytes).ok()) continue;
    ++accepted;
    std::vector<bool> used(kSlabBytes, false);
    for (const TableEntry& entry : table) {
      for (int64_t at = entry.offset; at < entry.offset + entry.bytes; ++at) {
        ASSERT_GE(at, 0);
        ASSERT_LT(at, kSlabBytes);
        ASSERT_FALSE(used[at]) << entry.name << " at " << at;
        used[at] = true;
      }
    }
  }
  EXPECT_GT(accepted, 500);
}

TEST(SlabTest, IsTheSameMemoryOnBothSides) {
  auto mine = Slab::Create(5000);
  ASSERT_TRUE(mine.ok()) << mine.status();
  auto theirs = Slab::Map(UniqueFd(dup(mine->descriptor())), 5000,
                          Slab::Access::kReadWrite);
  ASSERT_TRUE(theirs.ok()) << theirs.status();

  memcpy(theirs->data() + 4990, "weights", 8);

  EXPECT_STREQ(mine->data() + 4990, "weights");
}

TEST(SlabTest, CannotBeResized) {
  auto slab = Slab::Create(5000);
  ASSERT_TRUE(slab.ok()) << slab.status();

  EXPECT_NE(ftruncate(slab->descriptor(), 100), 0);
  EXPECT_NE(ftruncate(slab->descriptor(), 10'000), 0);
}

TEST(SlabTest, RefusesMemoryThatIsTooSmallOrCouldShrink) {
  auto slab = Slab::Create(5000);
  ASSERT_TRUE(slab.ok());
  EXPECT_EQ(
      Slab::Map(UniqueFd(dup(slab->descriptor())), 5001, Slab::Access::kRead)
          .status()
          .code(),
      absl::StatusCode::kInvalidArgument);

  UniqueFd unsealed(memfd_create("unsealed", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(unsealed.get(), 5000), 0);
  const auto mapped = Slab::Map(std::move(unsealed), 5000, Slab::Access::kRead);
  EXPECT_THAT(mapped.status().message(), HasSubstr("shrink"));

  EXPECT_FALSE(Slab::Map(UniqueFd(), 1, Slab::Access::kRead).ok());
}

TEST(SlabTest, MovesWithoutLosingItsMemory) {
  Slab slab = *Slab::Create(100);
  slab.data()[7] = 'x';

  Slab moved = std::move(slab);
  Slab assigned;
  assigned = std::move(moved);

  EXPECT_EQ(assigned.data()[7], 'x');
  EXPECT_EQ(assigned.bytes(), 100);
}

}  // namespace
}  // namespace headstart::worker
