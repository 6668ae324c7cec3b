// headstart-worker as a process.
#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "tests/support/process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "worker/agent/agent_world.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;

class AgentProgramTest : public ::testing::Test,
                         protected TempDir,
                         protected AgentWorld {
 protected:
  AgentProgramTest() : AgentWorld(TempDir::path()) {}

  std::unique_ptr<Process> StartProgram() {
    auto process = Process::Start(
        {.command = {"headstart-worker", "--scheduler", scheduler_->address(),
                     "--name", "workers/test", "--slots", "2", "--data",
                     folder_ + "/worker", "--endpoints", folder_ + "/endpoints",
                     "--trainer", ThisProgram(), "--metrics-listen",
                     "127.0.0.1:0"},
         .folder = "",
         .environment = {}});
    EXPECT_OK(process);
    return *std::move(process);
  }

  // Its children, as descriptors that become readable when they end.
  std::vector<UniqueFd> TrainersOf(const Process& process) {
    std::vector<UniqueFd> trainers;
    // A process's thread that made them is their parent, so look at all.
    for (const std::string& thread : ThreadsOf(process.pid())) {
      const auto text = ReadFile(
          absl::StrCat("/proc/", process.pid(), "/task/", thread, "/children"));
      EXPECT_OK(text);
      for (absl::string_view part :
           absl::StrSplit(*text, ' ', absl::SkipWhitespace())) {
        int pid = 0;
        EXPECT_TRUE(absl::SimpleAtoi(part, &pid));
        trainers.emplace_back(
            static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
      }
    }
    return trainers;
  }
  static std::vector<std::string> ThreadsOf(pid_t pid);
};

TEST_F(AgentProgramTest, DrainsOnSigterm) {
  SetStubTrainerRules("epoch=2,do=wait");
  const auto process = StartProgram();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100));
  scheduler_->AwaitReport(kRun, 1, 1);
  ASSERT_OK_AND_ASSIGN(
      const std::string metrics,
      process->AwaitEndpoint(folder_ + "/endpoints/metrics-worker"));
  EXPECT_THAT(metrics, HasSubstr("127.0.0.1:"));

  EXPECT_THAT(process->Terminate(), IsOkAndHolds(ProcessExit{.exit_code = 0}));

  const HeardAttempt attempt = scheduler_->AwaitEnd(kRun, 1);
  EXPECT_EQ(attempt.last.state(), v1::Attempt::RELEASED);
  EXPECT_THAT(attempt.reports, ElementsAre(Key(0), Key(1)));
}

TEST_F(AgentProgramTest, ItsTrainersEndWithItWhenItIsKilled) {
  SetStubTrainerRules("epoch=2,do=wait");
  const auto process = StartProgram();
  scheduler_->Assign("cpu:0", MakeAssignment(1, 0, 100));
  scheduler_->AwaitReport(kRun, 1, 1);
  const std::vector<UniqueFd> trainers = TrainersOf(*process);
  ASSERT_EQ(trainers.size(), 2u);

  process->Kill();

  for (const UniqueFd& trainer : trainers) {
    pollfd entry = {.fd = trainer.get(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&entry, 1, 60'000), 1);
  }

  // Another takes the same folder and resumes with a larger incarnation.
  const int64_t before = scheduler_->last_request().incarnation();
  SetStubTrainerRules("");
  scheduler_->Assign("cpu:0", MakeAssignment(2, 1, 3));
  const auto next = StartProgram();
  EXPECT_EQ(scheduler_->AwaitEnd(kRun, 2).last.state(), v1::Attempt::SUCCEEDED);
  EXPECT_GT(scheduler_->last_request().incarnation(), before);
}

TEST_F(AgentProgramTest, RefusesASecondAgentOnItsFolder) {
  const auto process = StartProgram();
  scheduler_->AwaitCalls(1);

  const auto second = StartProgram();

  EXPECT_THAT(second->Wait(), IsOkAndHolds(ProcessExit{.exit_code = 1}));
  EXPECT_THAT(second->stderr_text(), HasSubstr(folder_ + "/worker"));
}

TEST_F(AgentProgramTest, SaysWhatIsWrongWithItsFlags) {
  const struct {
    std::vector<std::string> flags;
    int exit_code;
    const char* says;
  } cases[] = {
      {{}, 2, "--data"},
      {{"--data", folder_ + "/w"}, 2, "--endpoints-from"},
      {{"--data", folder_ + "/w", "--scheduler", "a", "--endpoints-from", "b"},
       2,
       "excludes"},
      {{"--data", folder_ + "/w", "--scheduler", "a", "--slots", "gpu"},
       2,
       "\"gpu\" is no slot"},
      {{"--data", folder_ + "/w", "--scheduler", "a", "--name", "me"},
       2,
       "--name"},
      {{"--data", folder_ + "/w", "--scheduler", "a", "--trainer", "/none"},
       1,
       "no program /none"},
      {{"--data", folder_ + "/w", "--scheduler", "a", "--trainer-timeout",
        "9s"},
       2,
       "--trainer-timeout"},
      {{"--data", folder_ + "/w", "--scheduler", "a", "--slabs", "0"},
       2,
       "--slabs"},
      {{"--data", folder_ + "/w", "--scheduler", "a", "--metrics-listen",
        "0.0.0.0:0", "--trainer", ThisProgram()},
       2,
       "0.0.0.0"},
  };
  for (const auto& c : cases) {
    std::vector<std::string> command = {"headstart-worker"};
    command.insert(command.end(), c.flags.begin(), c.flags.end());
    ASSERT_OK_AND_ASSIGN(
        const CommandResult result,
        RunCommand({.command = command, .folder = "", .environment = {}}));
    EXPECT_EQ(result.exit.exit_code, c.exit_code) << result.stderr_text;
    EXPECT_THAT(result.stderr_text, HasSubstr(c.says));
  }
}

TEST_F(AgentProgramTest, NamesTheSlotWhoseTrainerHasNoDevice) {
  if (!std::filesystem::exists(ProgramsFolder() + "/headstart-trainer")) {
    GTEST_SKIP() << "this build has no trainer";
  }
  ASSERT_OK_AND_ASSIGN(
      const CommandResult result,
      RunCommand({.command = {"headstart-worker", "--data", folder_ + "/w",
                              "--scheduler", "a", "--slots", "cpu:1,cuda:63"},
                  .folder = "",
                  .environment = {}}));
  EXPECT_EQ(result.exit.exit_code, 1) << result.stderr_text;
  EXPECT_THAT(result.stderr_text, HasSubstr("slot cuda:63: "));
}

std::vector<std::string> AgentProgramTest::ThreadsOf(pid_t pid) {
  std::vector<std::string> threads;
  DIR* folder = opendir(absl::StrCat("/proc/", pid, "/task").c_str());
  while (const dirent* entry = readdir(folder)) {
    if (entry->d_name[0] != '.') threads.push_back(entry->d_name);
  }
  closedir(folder);
  return threads;
}

}  // namespace
}  // namespace headstart::worker

int main(int argc, char** argv) {
  if (headstart::worker::IsStubTrainer(argc, argv)) {
    return headstart::worker::StubTrainerMain(argc, argv);
  }
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
