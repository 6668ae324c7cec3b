#include "worker/agent/trainer_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::worker {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(TrainerLogTest, RemembersTheLastLinesAndWritesAll) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(TrainerLog log, TrainerLog::Open(dir / "log"));
  for (int i = 0; i < 100; ++i) log.Append(absl::StrCat("line ", i, "\n"));
  log.Append("un");
  log.Append("finished");

  EXPECT_THAT(log.Tail(), StartsWith("line 50\n"));
  EXPECT_THAT(log.Tail(), EndsWith("line 99\nunfinished"));
  EXPECT_THAT(ReadFile(dir / "log"),
              IsOkAndHolds(StartsWith("line 0\nline 1\n")));

  log.ForgetTail();
  EXPECT_EQ(log.Tail(), "");
}

TEST(TrainerLogTest, CutsLongLines) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(TrainerLog log, TrainerLog::Open(dir / "log"));

  log.Append(std::string(1'000'000, 'x'));
  log.Append(std::string(1'000'000, 'y') + "\nshort\n");

  EXPECT_LT(log.Tail().size(), 1000u);
  EXPECT_THAT(log.Tail(), EndsWith("x\nshort"));
}

TEST(TrainerLogTest, BeginsAnewWhenTheFileHasGrown) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(TrainerLog log, TrainerLog::Open(dir / "log"));
  log.Append("old\n");
  for (int i = 0; i < 17; ++i) log.Append(std::string(1 << 20, 'x'));

  log.Append("\nnew\n");

  EXPECT_THAT(ReadFile(dir / "log.1"), IsOkAndHolds(StartsWith("old\n")));
  EXPECT_THAT(ReadFile(dir / "log"), IsOkAndHolds(EndsWith("new\n")));
  EXPECT_THAT(ReadFile(dir / "log"), IsOkAndHolds(Not(HasSubstr("old"))));
}

TEST(TrainerLogTest, SaysWhichFileCannotBeOpened) {
  TempDir dir;

  EXPECT_THAT(TrainerLog::Open(dir / "none/log"),
              StatusIs(absl::StatusCode::kNotFound, "none/log"));
}

}  // namespace
}  // namespace headstart::worker
