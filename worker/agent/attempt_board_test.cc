#include "worker/agent/attempt_board.h"

#include <gtest/gtest.h>

#include <vector>

namespace headstart::worker {
namespace {

constexpr char kRun[] = "studies/1/trials/1";

class AttemptBoardTest : public ::testing::Test {
 protected:
  void Report(const AttemptKey& key, int64_t epoch) {
    v1::EpochReport report;
    report.set_epoch(epoch);
    board_.AddReport(key, report);
  }
  void Acknowledge(int64_t attempt, int64_t through_epoch, bool ended) {
    v1::Acknowledgement ack;
    ack.set_run(kRun);
    ack.set_attempt(attempt);
    ack.set_through_epoch(through_epoch);
    ack.set_ended(ended);
    board_.Acknowledge(ack);
  }

  const AttemptKey key_ = {kRun, 2, 20};
  int news_ = 0;
  AttemptBoard board_{[this] { ++news_; }};
};

TEST_F(AttemptBoardTest, KeepsReportsUntilTheyAreAcknowledged) {
  ASSERT_TRUE(board_.Begin(key_));
  for (int64_t epoch = 0; epoch < 4; ++epoch) Report(key_, epoch);

  Acknowledge(2, 1, false);
  Acknowledge(2, 0, false);  // Late.
  Acknowledge(7, 3, true);   // Another's.

  const auto statuses = board_.Statuses();
  ASSERT_EQ(statuses.size(), 1u);
  EXPECT_EQ(statuses[0].state(), v1::Attempt::LEASED);
  ASSERT_EQ(statuses[0].reports_size(), 2);
  EXPECT_EQ(statuses[0].reports(0).epoch(), 2);
}

TEST_F(AttemptBoardTest, ForgetsAnAttemptOnceItsEndIsAcknowledged) {
  ASSERT_TRUE(board_.Begin(key_));
  board_.End(key_, v1::Attempt::SUCCEEDED, {});
  EXPECT_FALSE(board_.empty());

  Acknowledge(2, 0, true);

  EXPECT_TRUE(board_.empty());
}

TEST_F(AttemptBoardTest, ForgetsAnUnwantedAttemptAtItsEnd) {
  ASSERT_TRUE(board_.Begin(key_));
  Report(key_, 0);
  Acknowledge(2, 0, true);
  Report(key_, 1);
  EXPECT_EQ(board_.Statuses()[0].reports_size(), 0);

  board_.End(key_, v1::Attempt::RELEASED, {});

  EXPECT_TRUE(board_.empty());
}

TEST_F(AttemptBoardTest, BeginsNoAttemptTwiceAndNoneThatIsOlder) {
  ASSERT_TRUE(board_.Begin(key_));
  EXPECT_FALSE(board_.Begin(key_));
  board_.End(key_, v1::Attempt::RELEASED, {});
  Acknowledge(2, 0, true);

  EXPECT_FALSE(board_.Begin(key_));
  EXPECT_FALSE(board_.Begin({kRun, 1, 10}));
  EXPECT_TRUE(board_.Begin({kRun, 3, 30}));
  EXPECT_TRUE(board_.Begin({"studies/1/trials/2", 1, 10}));
}

TEST_F(AttemptBoardTest, TheFirstActivityIsNewsUntilItRuns) {
  ASSERT_TRUE(board_.Begin(key_));
  board_.SetActivity(key_, "nio 1 of 3");
  board_.SetActivity(key_, "nio 2 of 3");
  EXPECT_EQ(news_, 1);
  EXPECT_EQ(board_.Statuses()[0].activity(), "nio 2 of 3");

  board_.SetRunning(key_, {});

  EXPECT_EQ(board_.Statuses()[0].activity(), "");
}

TEST_F(AttemptBoardTest, SaysWhatShouldNotWait) {
  ASSERT_TRUE(board_.Begin(key_));
  board_.SetProgress(key_, 1, 0.5);
  EXPECT_EQ(news_, 0);

  board_.SetRunning(key_, {});
  Report(key_, 0);
  v1::Failure failure;
  failure.set_reason(v1::Failure::EXIT);
  board_.End(key_, v1::Attempt::FAILED, failure);

  EXPECT_EQ(news_, 3);
  EXPECT_EQ(board_.Statuses()[0].failure().reason(), v1::Failure::EXIT);
  EXPECT_EQ(board_.Statuses()[0].epoch_progress(), 0.5);
}

}  // namespace
}  // namespace headstart::worker
