#include "worker/agent/slot_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;

TEST(ParseSlotsTest, ReadsANumberOfSlots) {
  EXPECT_THAT(
      ParseSlots("2"),
      IsOkAndHolds(ElementsAre(SlotSpec{.name = "cpu:0", .device = "cpu"},
                               SlotSpec{.name = "cpu:1", .device = "cpu"})));
}

TEST(ParseSlotsTest, ReadsAList) {
  EXPECT_THAT(
      ParseSlots("cpu:1,cuda:3,cpu:8"),
      IsOkAndHolds(ElementsAre(
          SlotSpec{.name = "cpu:0", .device = "cpu"},
          SlotSpec{.name = "cuda:3",
                   .device = "cuda:0",
                   .thread_count = 4,
                   .gpu = 3},
          SlotSpec{.name = "cpu:1", .device = "cpu", .thread_count = 8})));
}

TEST(ParseSlotsTest, NamesWhatIsNoSlot) {
  for (const char* text :
       {"", "0", "65", "-1", "cpu", "cpu:", "cpu:0", "cpu:1025", "cpu:x",
        "cuda:-1", "cuda:1,cuda:1", "gpu:1", "cpu:1,", "cpu:1 cpu:1"}) {
    EXPECT_THAT(ParseSlots(text),
                StatusIs(absl::StatusCode::kInvalidArgument, "--slots"))
        << text;
  }
}

}  // namespace
}  // namespace headstart::worker
