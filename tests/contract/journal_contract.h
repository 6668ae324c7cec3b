// What every Journal promises. A backend's test instantiates it:
//
//   INSTANTIATE_TEST_SUITE_P(Rocksdb, JournalContract,
//                            testing::Values(&MakeHarness));
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/journal/journal.h"

namespace headstart::scheduler {

// Where the journal under test lives.
class JournalHarness {
 public:
  virtual ~JournalHarness() = default;
  // The journal as it is stored. An earlier one must not be used any more.
  virtual Journal& Reopen() = 0;
};

using MakeJournalHarness = std::unique_ptr<JournalHarness> (*)();

class JournalContract : public testing::TestWithParam<MakeJournalHarness> {
 protected:
  // An event that differs for each `number`.
  static Event EventOf(int64_t number) {
    Event event;
    event.set_format_version(kJournalFormatVersion);
    event.mutable_study_deleted()->set_study(number);
    return event;
  }
  static std::vector<Event> EventsOf(int64_t first, int64_t last) {
    std::vector<Event> events;
    for (int64_t i = first; i <= last; ++i) events.push_back(EventOf(i));
    return events;
  }
  // "sequence:study" of each event visited.
  static std::vector<std::string> Read(const Journal& journal,
                                       int64_t sequence) {
    std::vector<std::string> read;
    const absl::Status status =
        journal.ReadFrom(sequence, [&](int64_t number, const Event& event) {
          read.push_back(
              absl::StrCat(number, ":", event.study_deleted().study()));
          return absl::OkStatus();
        });
    EXPECT_TRUE(status.ok()) << status;
    return read;
  }

  std::unique_ptr<JournalHarness> harness_ = GetParam()();
};

TEST_P(JournalContract, BeginsEmpty) {
  const Journal& journal = harness_->Reopen();

  EXPECT_EQ(journal.last_sequence(), 0);
  EXPECT_THAT(Read(journal, 1), testing::IsEmpty());
}

TEST_P(JournalContract, NumbersEventsFromOneInOrder) {
  Journal& journal = harness_->Reopen();

  ASSERT_TRUE(journal.Append(EventsOf(10, 11)).ok());
  ASSERT_TRUE(journal.Append(EventsOf(12, 12)).ok());

  EXPECT_EQ(journal.last_sequence(), 3);
  EXPECT_THAT(Read(journal, 1), testing::ElementsAre("1:10", "2:11", "3:12"));
  EXPECT_THAT(Read(journal, 3), testing::ElementsAre("3:12"));
  EXPECT_THAT(Read(journal, 4), testing::IsEmpty());
}

TEST_P(JournalContract, OrdersByNumberPastEveryByteBoundary) {
  Journal& journal = harness_->Reopen();

  for (int64_t i = 1; i <= 600; i += 100) {
    ASSERT_TRUE(journal.Append(EventsOf(i, i + 99)).ok());
  }

  std::vector<std::string> expected;
  for (int i = 1; i <= 600; ++i) expected.push_back(absl::StrCat(i, ":", i));
  EXPECT_EQ(Read(journal, 1), expected);
}

TEST_P(JournalContract, KeepsEventsAndClusterIdWhenReopened) {
  std::string cluster_id;
  {
    Journal& journal = harness_->Reopen();
    cluster_id = journal.cluster_id();
    ASSERT_TRUE(journal.Append(EventsOf(1, 3)).ok());
  }

  Journal& reopened = harness_->Reopen();

  EXPECT_EQ(reopened.last_sequence(), 3);
  EXPECT_EQ(reopened.cluster_id(), cluster_id);
  EXPECT_EQ(cluster_id.size(), 32u);
  ASSERT_TRUE(reopened.Append(EventsOf(4, 4)).ok());
  EXPECT_THAT(Read(reopened, 3), testing::ElementsAre("3:3", "4:4"));
}

TEST_P(JournalContract, AppendingNothingChangesNothing) {
  Journal& journal = harness_->Reopen();

  ASSERT_TRUE(journal.Append({}).ok());

  EXPECT_EQ(journal.last_sequence(), 0);
}

TEST_P(JournalContract, EndsEarlyWithTheVisitorsError) {
  Journal& journal = harness_->Reopen();
  ASSERT_TRUE(journal.Append(EventsOf(1, 5)).ok());

  int64_t visits = 0;
  const absl::Status status =
      journal.ReadFrom(1, [&](int64_t sequence, const Event&) {
        ++visits;
        return sequence == 3 ? absl::InternalError("enough") : absl::OkStatus();
      });

  EXPECT_EQ(status, absl::InternalError("enough"));
  EXPECT_EQ(visits, 3);
}

TEST_P(JournalContract, ReadsBesideAnAppendingThread) {
  Journal& journal = harness_->Reopen();
  constexpr int64_t kLast = 300;
  std::thread appender([&] {
    for (int64_t i = 1; i <= kLast; ++i) {
      ASSERT_TRUE(journal.Append(EventsOf(i, i)).ok());
    }
  });

  int64_t seen = 0;
  while (seen < kLast) {
    const auto events = static_cast<int64_t>(Read(journal, 1).size());
    EXPECT_GE(events, seen);
    seen = events;
  }
  appender.join();
}

TEST_P(JournalContract, SaysHowMuchRoomIsLeft) {
  const absl::StatusOr<int64_t> free_bytes = harness_->Reopen().FreeBytes();

  ASSERT_TRUE(free_bytes.ok()) << free_bytes.status();
  EXPECT_GT(*free_bytes, 0);
}

}  // namespace headstart::scheduler
