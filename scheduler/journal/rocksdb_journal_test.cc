#include "scheduler/journal/rocksdb_journal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "rocksdb/db.h"
#include "tests/contract/journal_contract.h"

namespace headstart::scheduler {
namespace {

namespace fs = std::filesystem;

constexpr char kAppendUntilKilled[] = "--append-until-killed";

class Folder {
 public:
  Folder() {
    std::string path = fs::temp_directory_path() / "rocksdb_journal_XXXXXX";
    path_ = mkdtemp(path.data());
  }
  ~Folder() { fs::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

absl::StatusOr<std::unique_ptr<RocksdbJournal>> Open(
    const std::string& folder) {
  return RocksdbJournal::Open(
      {.folder = folder, .new_cluster_id = std::string(32, 'c')});
}

std::unique_ptr<RocksdbJournal> MustOpen(const std::string& folder) {
  auto journal = Open(folder);
  EXPECT_TRUE(journal.ok()) << journal.status();
  return *std::move(journal);
}

Event EventOf(int64_t number) {
  Event event;
  event.set_format_version(kJournalFormatVersion);
  event.mutable_study_deleted()->set_study(number);
  return event;
}

absl::Status ReadAll(const Journal& journal, int64_t* count) {
  *count = 0;
  return journal.ReadFrom(1, [&](int64_t sequence, const Event& event) {
    EXPECT_EQ(event.study_deleted().study(), sequence);
    ++*count;
    return absl::OkStatus();
  });
}

class RocksdbHarness final : public JournalHarness {
 public:
  Journal& Reopen() override {
    journal_.reset();
    journal_ = MustOpen(folder_.path());
    return *journal_;
  }

 private:
  Folder folder_;
  std::unique_ptr<RocksdbJournal> journal_;
};

std::unique_ptr<JournalHarness> MakeHarness() {
  return std::make_unique<RocksdbHarness>();
}

INSTANTIATE_TEST_SUITE_P(Rocksdb, JournalContract,
                         testing::Values(&MakeHarness));

// Opens the folder as plain RocksDB, to do to it what a journal never does.
void Tamper(const std::string& folder, const std::string& family,
            const std::string& key, const std::string& value) {
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open({}, folder,
                                {{"default", {}}, {"meta", {}}, {"events", {}}},
                                &handles, &opened)
                  .ok());
  std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::ColumnFamilyHandle* handle = handles[family == "meta" ? 1 : 2];
  ASSERT_TRUE((value.empty() ? db->Delete({}, handle, key)
                             : db->Put({}, handle, key, value))
                  .ok());
  for (auto* each : handles) delete each;
}

std::string KeyOf(char low_byte) {
  return std::string(7, '\0') + std::string(1, low_byte);
}

void AppendThree(const std::string& folder) {
  auto journal = MustOpen(folder);
  ASSERT_TRUE(journal->Append({EventOf(1), EventOf(2), EventOf(3)}).ok());
}

// The write-ahead log that holds the last events.
fs::path NewestLog(const std::string& folder) {
  fs::path newest;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".log" && entry.file_size() > 0) {
      newest = std::max(newest, entry.path());
    }
  }
  EXPECT_FALSE(newest.empty());
  return newest;
}

TEST(RocksdbJournalTest, KeepsTheClusterIdItWasMadeWith) {
  Folder folder;
  MustOpen(folder.path());

  auto reopened = RocksdbJournal::Open(
      {.folder = folder.path(), .new_cluster_id = std::string(32, 'd')});

  ASSERT_TRUE(reopened.ok()) << reopened.status();
  EXPECT_EQ((*reopened)->cluster_id(), std::string(32, 'c'));
}

TEST(RocksdbJournalTest, RefusesASecondOpenerOfOneFolder) {
  Folder folder;
  auto first = MustOpen(folder.path());

  auto second = Open(folder.path());

  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()),
              testing::HasSubstr(folder.path()));
}

TEST(RocksdbJournalTest, ReportsAMissingEventInTheMiddleAndVisitsNoneAfterIt) {
  Folder folder;
  AppendThree(folder.path());
  Tamper(folder.path(), "events", KeyOf(2), "");

  int64_t count = 0;
  const absl::Status status = ReadAll(*MustOpen(folder.path()), &count);

  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              testing::HasSubstr("event 2 of 3 is missing"));
  EXPECT_EQ(count, 1);
}

TEST(RocksdbJournalTest, ReportsAMissingFirstEvent) {
  Folder folder;
  AppendThree(folder.path());
  Tamper(folder.path(), "events", KeyOf(1), "");

  int64_t count = 0;
  const absl::Status status = ReadAll(*MustOpen(folder.path()), &count);

  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              testing::HasSubstr("event 1 of 3 is missing"));
}

TEST(RocksdbJournalTest, ReportsAnEventThatDoesNotParse) {
  Folder folder;
  AppendThree(folder.path());
  Tamper(folder.path(), "events", KeyOf(3), "not an event");

  int64_t count = 0;
  const absl::Status status = ReadAll(*MustOpen(folder.path()), &count);

  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              testing::HasSubstr("event 3 of 3 cannot be read"));
  EXPECT_EQ(count, 2);
}

TEST(RocksdbJournalTest, RefusesAnEventOfANewerFormat) {
  Folder folder;
  AppendThree(folder.path());
  Event newer = EventOf(3);
  newer.set_format_version(kJournalFormatVersion + 1);
  Tamper(folder.path(), "events", KeyOf(3), newer.SerializeAsString());

  int64_t count = 0;
  const absl::Status status = ReadAll(*MustOpen(folder.path()), &count);

  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              testing::HasSubstr("format version 2"));
}

TEST(RocksdbJournalTest, RefusesAFolderOfANewerFormat) {
  Folder folder;
  AppendThree(folder.path());
  Tamper(folder.path(), "meta", "format_version", "2");

  auto journal = Open(folder.path());

  EXPECT_EQ(journal.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(journal.status().message()),
              testing::HasSubstr("format version 2"));
}

TEST(RocksdbJournalTest, DropsOnlyTheWriteThatACrashCutOff) {
  Folder folder;
  AppendThree(folder.path());
  {
    auto journal = MustOpen(folder.path());
    ASSERT_TRUE(journal->Append({EventOf(4)}).ok());
    ASSERT_TRUE(journal->Append({EventOf(5)}).ok());
  }
  const fs::path log = NewestLog(folder.path());
  fs::resize_file(log, fs::file_size(log) - 3);

  auto journal = MustOpen(folder.path());

  EXPECT_EQ(journal->last_sequence(), 4);
  int64_t count = 0;
  EXPECT_TRUE(ReadAll(*journal, &count).ok());
  EXPECT_EQ(count, 4);
}

TEST(RocksdbJournalTest, ReportsDamageInFrontOfOtherEvents) {
  Folder folder;
  AppendThree(folder.path());
  {
    auto journal = MustOpen(folder.path());
    for (int64_t i = 4; i <= 40; ++i) {
      ASSERT_TRUE(journal->Append({EventOf(i)}).ok());
    }
  }
  const fs::path log = NewestLog(folder.path());
  {
    std::fstream file(log, std::ios::in | std::ios::out | std::ios::binary);
    const auto middle = static_cast<std::streamoff>(fs::file_size(log) / 2);
    file.seekg(middle);
    const char byte = static_cast<char>(file.get());
    file.seekp(middle);
    file.put(static_cast<char>(byte ^ 0x40));
  }

  auto journal = Open(folder.path());

  EXPECT_EQ(journal.status().code(), absl::StatusCode::kDataLoss)
      << journal.status();
  EXPECT_THAT(std::string(journal.status().message()),
              testing::HasSubstr(folder.path()));
}

// The child: appends groups of 1 to 7 events for ever, and says after each how
// many are there.
int AppendUntilKilled(const std::string& folder) {
  auto journal = Open(folder);
  if (!journal.ok()) return 1;
  for (int64_t size = 1;; size = size % 7 + 1) {
    std::vector<Event> group;
    for (int64_t i = 1; i <= size; ++i) {
      group.push_back(EventOf((*journal)->last_sequence() + i));
    }
    if (!(*journal)->Append(group).ok()) return 1;
    const int64_t last = (*journal)->last_sequence();
    if (write(STDOUT_FILENO, &last, sizeof(last)) != sizeof(last)) return 1;
  }
}

TEST(RocksdbJournalTest, KeepsEveryAcknowledgedGroupWholeWhenKilled) {
  Folder folder;
  int64_t before = 0;
  for (int kills = 0; kills < 8; ++kills) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const pid_t child = fork();
    if (child == 0) {
      dup2(ends[1], STDOUT_FILENO);
      execl("/proc/self/exe", "rocksdb_journal_test", kAppendUntilKilled,
            folder.path().c_str(), nullptr);
      _exit(127);
    }
    close(ends[1]);
    int64_t acknowledged = 0;
    // Each time a little later in the life of the process and of the folder.
    const int64_t kill_after = before + 1 + kills * 29;
    while (acknowledged < kill_after) {
      ASSERT_EQ(read(ends[0], &acknowledged, sizeof(acknowledged)),
                static_cast<ssize_t>(sizeof(acknowledged)));
    }
    kill(child, SIGKILL);
    int64_t later = 0;
    while (read(ends[0], &later, sizeof(later)) == sizeof(later)) {
      acknowledged = later;
    }
    close(ends[0]);
    waitpid(child, nullptr, 0);

    auto journal = MustOpen(folder.path());

    int64_t count = 0;
    const absl::Status status = ReadAll(*journal, &count);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(count, journal->last_sequence());
    EXPECT_GE(count, acknowledged);
    EXPECT_LE(count, acknowledged + 7) << "one group was in flight at most";
    before = count;
  }
}

}  // namespace
}  // namespace headstart::scheduler

int main(int argc, char** argv) {
  if (argc == 3 &&
      std::string(argv[1]) == headstart::scheduler::kAppendUntilKilled) {
    return headstart::scheduler::AppendUntilKilled(argv[2]);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
