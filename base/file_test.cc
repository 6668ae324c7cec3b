#include "base/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart {
namespace {

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename());
  }
  return names;
}

TEST(FileTest, ReadsWhatWasWritten) {
  const TempDir dir;
  std::string bytes(300'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);

  ASSERT_OK(WriteFileAtomically(dir / "a", bytes));

  EXPECT_TRUE(ReadFile(dir / "a").value() == bytes);
}

TEST(FileTest, AWriteReplacesAndLeavesNothingBeside) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomically(dir / "a", "a longer text"));
  ASSERT_OK(WriteFileAtomically(dir / "a", "short"));

  EXPECT_THAT(ReadFile(dir / "a"), IsOkAndHolds(std::string("short")));
  EXPECT_THAT(NamesIn(dir.path()), ::testing::ElementsAre("a"));
}

TEST(FileTest, AWriteThatCannotEndLeavesTheOldFileAndNothingBeside) {
  const TempDir dir;
  ASSERT_OK(MakeFolders(dir / "a/b"));  // A folder is no file to replace.

  EXPECT_FALSE(WriteFileAtomically(dir / "a", "text").ok());

  EXPECT_THAT(NamesIn(dir.path()), ::testing::ElementsAre("a"));
  EXPECT_THAT(NamesIn(dir / "a"), ::testing::ElementsAre("b"));
}

TEST(FileTest, OfConcurrentWritersOneWinsWhole) {
  const TempDir dir;
  std::vector<std::thread> writers;
  for (char c = 'a'; c < 'e'; ++c) {
    writers.emplace_back([&dir, c] {
      for (int i = 0; i < 20; ++i) {
        EXPECT_OK(WriteFileAtomically(dir / "x", std::string(5000, c)));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();

  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadFile(dir / "x"));
  EXPECT_EQ(bytes, std::string(5000, bytes.at(0)));
  EXPECT_THAT(NamesIn(dir.path()), ::testing::ElementsAre("x"));
}

TEST(FileTest, ErrorsNameThePathAndTheKind) {
  const TempDir dir;
  EXPECT_THAT(ReadFile(dir / "none"),
              StatusIs(absl::StatusCode::kNotFound, dir / "none"));
  EXPECT_THAT(WriteFileAtomically(dir / "none/a", ""),
              StatusIs(absl::StatusCode::kNotFound, dir / "none/a"));
  EXPECT_THAT(FreeBytes(dir / "none"),
              StatusIs(absl::StatusCode::kNotFound, dir / "none"));
  EXPECT_THAT(ErrnoStatus(ENOSPC, "writing 5 bytes to /x"),
              StatusIs(absl::StatusCode::kResourceExhausted, "/x"));
  EXPECT_THAT(ErrnoStatus(EACCES, "opening /x"),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST(FileTest, MakesFoldersOnceAndAgain) {
  const TempDir dir;
  ASSERT_OK(MakeFolders(dir / "a/b/c"));
  ASSERT_OK(MakeFolders(dir / "a/b/c"));
  ASSERT_OK(MakeFolders(dir / "a/b/d/"));
  EXPECT_TRUE(std::filesystem::is_directory(dir / "a/b/c"));
  EXPECT_TRUE(std::filesystem::is_directory(dir / "a/b/d"));

  ASSERT_OK(WriteFileAtomically(dir / "file", ""));
  EXPECT_THAT(MakeFolders(dir / "file"),
              StatusIs(absl::StatusCode::kAlreadyExists, dir / "file"));
  EXPECT_FALSE(MakeFolders(dir / "file/below").ok());
}

TEST(FileTest, RemovesOnceAndAgain) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomically(dir / "a", ""));
  EXPECT_OK(RemoveFile(dir / "a"));
  EXPECT_OK(RemoveFile(dir / "a"));
  EXPECT_TRUE(NamesIn(dir.path()).empty());
}

TEST(FileTest, KnowsWhereTheProgramLies) {
  EXPECT_TRUE(std::filesystem::exists(ExecutableFolder() + "/file_test"));
}

TEST(FileTest, ThereIsSomeRoom) { EXPECT_GT(FreeBytes("/tmp").value(), 0); }

TEST(FolderLockTest, OneAtATime) {
  const TempDir dir;
  const std::string folder = dir / "data/scheduler";
  {
    ASSERT_OK_AND_ASSIGN(const auto lock, FolderLock::Acquire(folder));

    const auto second = FolderLock::Acquire(folder);

    EXPECT_THAT(second,
                StatusIs(absl::StatusCode::kFailedPrecondition, folder));
    EXPECT_THAT(second, StatusIs(absl::StatusCode::kFailedPrecondition,
                                 absl::StrCat("process ", getpid(), ".")));
  }
  EXPECT_OK(FolderLock::Acquire(folder));
}

TEST(FolderLockTest, ALockFileOfADeadProcessIsNoLock) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomically(dir / "lock", "1234567890123\n"));

  ASSERT_OK_AND_ASSIGN(const auto lock, FolderLock::Acquire(dir.path()));

  EXPECT_THAT(ReadFile(dir / "lock"),
              IsOkAndHolds(absl::StrCat(getpid(), "\n")));
}

}  // namespace
}  // namespace headstart
