// The supervisor and the local cluster, with this program itself as the child.
#include "client/cli/supervisor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/cli/local_cluster.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// ---------------------------------------------------------------- children

// One line into a FIFO; short lines of several processes do not mix.
void Tell(const std::string& fifo, const std::string& line) {
  const int file = open(fifo.c_str(), O_WRONLY);
  const std::string text = line + "\n";
  if (write(file, text.data(), text.size()) < 0) _exit(99);
  close(file);
}

// `child NAME FIFO READY_FILE BEHAVIOUR`: tells its start, makes the file,
// waits for SIGTERM, tells its end. Instead: "exit3" writes to stderr and ends
// at once, "ignore" ignores SIGTERM, "unready" makes no file.
int Child(const std::vector<std::string>& arguments) {
  const std::string &name = arguments[0], &fifo = arguments[1],
                    &ready = arguments[2], &behaviour = arguments[3];
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  if (behaviour == "exit3") {
    std::fprintf(stderr, "the journal is not readable\n");
    return 3;
  }
  Tell(fifo, absl::StrCat("start ", name, " ", getpid(), " ", getpgid(0)));
  if (behaviour != "unready") std::ofstream(ready) << "x";
  int signal = 0;
  if (behaviour == "ignore") {
    sigaddset(&signals, SIGUSR1);  // Never comes.
    sigdelset(&signals, SIGTERM);
  }
  sigwait(&signals, &signal);
  Tell(fifo, "end " + name);
  return 0;
}

// Stands for a server: makes the endpoint files of its --endpoints folder,
// tells its flags, waits for SIGTERM.
int Server(const std::string& program, const std::vector<std::string>& flags) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  std::map<std::string, std::string> values;
  std::ostringstream line;
  for (size_t i = 0; i + 1 < flags.size(); i += 2) {
    values[flags[i]] = flags[i + 1];
    line << " " << flags[i] << " " << flags[i + 1];
  }
  const std::string part(absl::StripPrefix(program, "headstart-"));
  const std::string endpoints = values["--endpoints"] + "/";
  if (part == "scheduler") {
    std::ofstream(endpoints + "scheduler") << values["--listen"] << "\n";
    std::ofstream(endpoints + "scheduler-worker") << "x\n";
  } else if (part == "storage") {
    std::ofstream(endpoints + "storage") << "x\n";
  }
  std::ofstream(endpoints + "metrics-" + part) << "127.0.0.1:1\n";
  std::printf("%s\n", line.str().c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  return 0;
}

// `parent FIFO FOLDER`: a process that supervises a child until it is killed.
int Parent(const std::vector<std::string>& arguments);

ChildProgram Program(const std::string& name, const std::string& fifo,
                     const std::string& folder, const std::string& behaviour) {
  const std::string ready = absl::StrCat(folder, "/", name, ".ready");
  return {.name = name,
          .command = {"/proc/self/exe", "child", name, fifo, ready, behaviour},
          .log_file = absl::StrCat(folder, "/", name, ".log"),
          .ready_files = {ready}};
}

int Parent(const std::vector<std::string>& arguments) {
  StopEvent stop;
  SupervisorOptions options;
  options.children = {Program("a", arguments[0], arguments[1], "")};
  options.ready_folder = arguments[1];
  options.say = [](const std::string&) {};
  auto supervisor = Supervisor::Start(std::move(options), stop);
  stop.Wait();
  return 0;
}

// ------------------------------------------------------------------- tests

class SupervisorTest : public ::testing::Test {
 protected:
  SupervisorTest() : fifo_(folder_ / "fifo") {
    EXPECT_EQ(mkfifo(fifo_.c_str(), 0600), 0);
    // Both directions: it never ends, and opening it never waits.
    stream_ = fdopen(open(fifo_.c_str(), O_RDWR | O_CLOEXEC), "r");
  }
  ~SupervisorTest() override { std::fclose(stream_); }

  // "a", or "a:exit3".
  std::unique_ptr<Supervisor> Start(const std::vector<std::string>& children) {
    for (const std::string& child : children) {
      const size_t colon = child.find(':');
      options_.children.push_back(
          Program(child.substr(0, colon), fifo_, folder_.path(),
                  colon == std::string::npos ? "" : child.substr(colon + 1)));
    }
    options_.ready_folder = folder_.path();
    options_.wait_initial = absl::Milliseconds(1);
    options_.say = [this](const std::string& line) { said_.push_back(line); };
    auto supervisor = Supervisor::Start(options_, stop_);
    EXPECT_OK(supervisor.status());
    return *std::move(supervisor);
  }

  // The next line that a child tells; waits for it.
  std::string NextLine() {
    char line[256];
    if (std::fgets(line, sizeof(line), stream_) == nullptr) return "nothing";
    return std::string(absl::StripSuffix(line, "\n"));
  }

  // Of a line "start NAME PID GROUP".
  struct Started {
    std::string name;
    pid_t pid = 0;
    pid_t group = 0;
  };
  Started NextStart() {
    std::istringstream line(NextLine());
    std::string start;
    Started started;
    line >> start >> started.name >> started.pid >> started.group;
    EXPECT_EQ(start, "start");
    return started;
  }

  const TempDir folder_;
  const std::string fifo_;
  FILE* stream_;
  SupervisorOptions options_;
  std::vector<std::string> said_;  // Of the supervisor's thread until Stop.
  StopEvent stop_;
};

TEST_F(SupervisorTest, StartsInOrderAndEndsInTheOpposite) {
  std::ofstream(folder_ / "b.ready") << "of an earlier process";

  auto supervisor = Start({"a", "b", "c"});
  EXPECT_OK(supervisor->AwaitReady());
  const std::vector<std::string> starts = {NextStart().name, NextStart().name,
                                           NextStart().name};
  supervisor->Stop();

  EXPECT_THAT(starts, ElementsAre("a", "b", "c"));
  const std::vector<std::string> ends = {NextLine(), NextLine(), NextLine()};
  EXPECT_THAT(ends, ElementsAre("end c", "end b", "end a"));
  EXPECT_THAT(said_, ElementsAre());
}

TEST_F(SupervisorTest, GivesEachChildAProcessGroupOfItsOwn) {
  auto supervisor = Start({"a"});

  const Started started = NextStart();

  EXPECT_EQ(started.group, started.pid);
  EXPECT_NE(started.group, getpgid(0));
}

TEST_F(SupervisorTest, RestartsAChildThatWasKilledAndSaysWhy) {
  auto supervisor = Start({"a", "b"});
  ASSERT_OK(supervisor->AwaitReady());
  const Started a = NextStart();
  const Started b = NextStart();

  kill(a.pid, SIGKILL);
  const Started again = NextStart();
  supervisor->Stop();

  EXPECT_EQ(again.name, "a");
  EXPECT_NE(again.pid, a.pid);
  EXPECT_EQ(b.name, "b");  // And was left alone: two ends follow.
  EXPECT_EQ(NextLine(), "end b");
  EXPECT_EQ(NextLine(), "end a");
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_THAT(said_[0], AllOf(HasSubstr(absl::StrCat(a.pid)),
                              HasSubstr("by signal 9 (Killed)"),
                              HasSubstr(folder_ / "a.log")));
  EXPECT_FALSE(stop_.stopped());
}

TEST_F(SupervisorTest, GivesUpAfterQuickDeathsWithTheLastLogLines) {
  auto supervisor = Start({"a", "b:exit3"});

  const absl::Status status = supervisor->AwaitReady();

  EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                               "b ended 5 times soon after its start"));
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("with exit code 3"), HasSubstr("b.log"),
                    HasSubstr("the journal is not readable")));
  EXPECT_TRUE(stop_.stopped());
  EXPECT_EQ(NextStart().name, "a");
  supervisor->Stop();
  EXPECT_EQ(NextLine(), "end a");
  EXPECT_EQ(said_.size(), 4u);  // One for each restart.
}

TEST_F(SupervisorTest, GivesUpWhenAChildDoesNotBecomeReady) {
  options_.start_max = absl::Milliseconds(50);

  auto supervisor = Start({"a:unready"});

  EXPECT_THAT(supervisor->AwaitReady(),
              StatusIs(absl::StatusCode::kDeadlineExceeded, "a is not ready"));
}

TEST_F(SupervisorTest, SaysThatAProgramIsMissing) {
  options_.children = {{.name = "headstart-storage",
                        .command = {folder_ / "headstart-storage"},
                        .log_file = folder_ / "s.log"}};
  auto supervisor = Start({});

  // It has no ready files, so it is ready as soon as it is forked.
  stop_.Wait();

  EXPECT_THAT(supervisor->status(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "headstart-storage: No such file or directory"));
}

TEST_F(SupervisorTest, KillsAChildThatDoesNotEnd) {
  options_.drain_max = absl::Milliseconds(20);
  auto supervisor = Start({"a:ignore"});
  ASSERT_OK(supervisor->AwaitReady());

  supervisor->Stop();

  ASSERT_EQ(said_.size(), 1u);
  EXPECT_THAT(said_[0], HasSubstr("a has not ended within"));
}

TEST_F(SupervisorTest, StopsWhileAChildIsNotReady) {
  auto supervisor = Start({"a:unready", "b"});
  EXPECT_EQ(NextStart().name, "a");
  stop_.Stop();

  EXPECT_THAT(supervisor->AwaitReady(), StatusIs(absl::StatusCode::kCancelled));
  supervisor->Stop();

  EXPECT_EQ(NextLine(), "end a");  // b never started.
}

TEST_F(SupervisorTest, ChildrenEndWithTheirParentHoweverItEnds) {
  const pid_t parent = fork();
  if (parent == 0) {
    execl("/proc/self/exe", "parent", "parent", fifo_.c_str(),
          folder_.path().c_str(), nullptr);
    _exit(127);
  }
  const Started child = NextStart();
  const int pid_file = static_cast<int>(syscall(SYS_pidfd_open, child.pid, 0));
  ASSERT_GE(pid_file, 0);

  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);

  pollfd file = {.fd = pid_file, .events = POLLIN};
  EXPECT_EQ(poll(&file, 1, 60'000), 1);  // Readable: the child has ended.
  close(pid_file);
}

TEST(LastLinesTest, TakesTheEndOfTheFile) {
  const TempDir folder;
  std::ofstream(folder / "log") << std::string(100'000, 'x') << "\none\ntwo\n";
  EXPECT_EQ(LastLines(folder / "log", 2), "one\ntwo");
  EXPECT_EQ(LastLines(folder / "none", 2), "");
}

// A folder with this program under the names of the servers.
class LocalClusterTest : public ::testing::Test {
 protected:
  LocalClusterTest() : printer_({.out = &out_, .error = &error_}) {
    const std::string self =
        std::filesystem::read_symlink("/proc/self/exe").string();
    for (const std::string part : {"scheduler", "storage", "worker"}) {
      std::filesystem::create_symlink(self, folder_ / ("headstart-" + part));
    }
    options_.data = folder_ / "data";
    options_.slots = "2";
    options_.datasets = {"/one", "/two"};
    options_.programs_folder = folder_.path();
  }

  // What a server was started with.
  std::string FlagsOf(const std::string& part) {
    return LastLines(
        absl::StrCat(options_.data, "/log/headstart-", part, ".log"), 1);
  }

  const TempDir folder_;
  std::ostringstream out_;
  std::ostringstream error_;
  Printer printer_;
  LocalClusterOptions options_;
  StopEvent stop_;
};

TEST_F(LocalClusterTest, StartsTheServersOnSocketsOfTheDataFolder) {
  options_.metrics_port = 7701;
  {
    ASSERT_OK_AND_ASSIGN(const auto cluster,
                         LocalCluster::Start(options_, printer_, stop_));
    const std::string run = absl::StrCat("unix:", cluster->data(), "/run/");
    EXPECT_EQ(cluster->server(), run + "scheduler.sock");
    EXPECT_THAT(cluster->Lines(),
                ::testing::Contains(HasSubstr("cpu:1,cpu:1")));
  }
  const std::string& data = options_.data;
  EXPECT_EQ(FlagsOf("storage"),
            absl::StrCat(" --data ", data, "/storage --endpoints ", data,
                         "/endpoints --metrics-listen 127.0.0.1:7702 --listen "
                         "unix:",
                         data, "/run/storage.sock"));
  EXPECT_EQ(FlagsOf("scheduler"),
            absl::StrCat(" --data ", data, "/scheduler --endpoints ", data,
                         "/endpoints --metrics-listen 127.0.0.1:7701 --listen "
                         "unix:",
                         data,
                         "/run/scheduler.sock --worker-listen "
                         "unix:",
                         data,
                         "/run/scheduler-worker.sock --storage "
                         "unix:",
                         data, "/run/storage.sock"));
  EXPECT_EQ(FlagsOf("worker"),
            absl::StrCat(" --data ", data, "/worker --endpoints ", data,
                         "/endpoints --metrics-listen 127.0.0.1:7703 "
                         "--scheduler unix:",
                         data,
                         "/run/scheduler-worker.sock --name workers/local "
                         "--slots cpu:1,cpu:1 --datasets /one --datasets "
                         "/two"));
}

TEST_F(LocalClusterTest, RefusesAFolderThatIsInUseNamingTheHolder) {
  ASSERT_OK_AND_ASSIGN(const auto cluster,
                       LocalCluster::Start(options_, printer_, stop_));

  const auto second = LocalCluster::Start(options_, printer_, stop_);

  EXPECT_THAT(second, StatusIs(absl::StatusCode::kFailedPrecondition,
                               absl::StrCat(getpid())));
  EXPECT_THAT(second,
              StatusIs(absl::StatusCode::kFailedPrecondition, cluster->data()));
}

TEST_F(LocalClusterTest, SaysWhichProgramIsMissing) {
  std::filesystem::remove(folder_ / "headstart-worker");
  EXPECT_THAT(
      LocalCluster::Start(options_, printer_, stop_),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               "there is no program " + (folder_ / "headstart-worker")));
}

TEST_F(LocalClusterTest, PutsSocketsElsewhereWhenTheNameIsTooLong) {
  options_.data = folder_ / std::string(120, 'd');
  std::string socket;
  {
    ASSERT_OK_AND_ASSIGN(const auto cluster,
                         LocalCluster::Start(options_, printer_, stop_));
    socket = std::string(absl::StripPrefix(cluster->server(), "unix:"));
    EXPECT_LT(socket.size(), 100u);
    EXPECT_TRUE(
        std::filesystem::exists(std::filesystem::path(socket).parent_path()));
  }
  EXPECT_FALSE(
      std::filesystem::exists(std::filesystem::path(socket).parent_path()));
}

TEST(LocalClusterFlagsTest, ReadsSlots) {
  EXPECT_THAT(SlotsOf("3"), IsOkAndHolds("cpu:1,cpu:1,cpu:1"));
  EXPECT_THAT(SlotsOf("cpu:2,cpu:4"), IsOkAndHolds("cpu:2,cpu:4"));
  EXPECT_THAT(SlotsOf(""), IsOkAndHolds(HasSubstr("cpu:1")));
  for (const char* const wrong : {"0", "65", "99999999999999999999"}) {
    EXPECT_THAT(SlotsOf(wrong),
                StatusIs(absl::StatusCode::kInvalidArgument, "1 to 64"));
  }
}

TEST(LocalClusterFlagsTest, ReadsMetricsPorts) {
  EXPECT_THAT(MetricsPortOf("", 7701), IsOkAndHolds(std::optional<int>(7701)));
  EXPECT_THAT(MetricsPortOf("auto", 7701), IsOkAndHolds(std::optional<int>()));
  EXPECT_THAT(MetricsPortOf("9000", 7701),
              IsOkAndHolds(std::optional<int>(9000)));
  for (const char* const wrong : {"0", "65534", "x"}) {
    EXPECT_THAT(MetricsPortOf(wrong, 7701),
                StatusIs(absl::StatusCode::kInvalidArgument, "65533"));
  }
}

}  // namespace

// This program as one of its own children.
int RunAs(const std::string& program, std::vector<std::string> arguments) {
  if (absl::StartsWith(program, "headstart-")) {
    return Server(program, arguments);
  }
  const std::string role = arguments[0];
  arguments.erase(arguments.begin());
  return role == "child" ? Child(arguments) : Parent(arguments);
}

}  // namespace headstart::client

int main(int argc, char** argv) {
  const std::string program = std::filesystem::path(argv[0]).filename();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (absl::StartsWith(program, "headstart-") ||
      (!arguments.empty() &&
       (arguments[0] == "child" || arguments[0] == "parent"))) {
    return headstart::client::RunAs(program, arguments);
  }
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
