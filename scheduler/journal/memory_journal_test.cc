#include "scheduler/journal/memory_journal.h"

#include "tests/contract/journal_contract.h"

namespace headstart::scheduler {
namespace {

class MemoryHarness final : public JournalHarness {
 public:
  Journal& Reopen() override { return journal_; }

 private:
  MemoryJournal journal_;
};

std::unique_ptr<JournalHarness> MakeHarness() {
  return std::make_unique<MemoryHarness>();
}

INSTANTIATE_TEST_SUITE_P(Memory, JournalContract,
                         testing::Values(&MakeHarness));

TEST(MemoryJournalTest, FailsAppendsOnDemand) {
  MemoryJournal journal;
  ASSERT_TRUE(journal.Append({Event()}).ok());
  const absl::Status full = absl::ResourceExhaustedError("full");

  journal.FailAppends(full, /*keep_events=*/false);
  EXPECT_EQ(journal.Append({Event()}), full);
  EXPECT_EQ(journal.last_sequence(), 1);

  journal.FailAppends(full, /*keep_events=*/true);
  EXPECT_EQ(journal.Append({Event()}), full);
  EXPECT_EQ(journal.last_sequence(), 2);

  journal.FailAppends(absl::OkStatus(), /*keep_events=*/false);
  EXPECT_TRUE(journal.Append({Event()}).ok());
}

}  // namespace
}  // namespace headstart::scheduler
