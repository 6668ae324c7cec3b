#include "tests/support/process.h"

#include <signal.h>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart {
namespace {

ProcessOptions Shell(const std::string& script) {
  return {.command = {"/bin/sh", "-c", script}};
}

TEST(ProcessTest, GivesOutputAndExitCode) {
  ASSERT_OK_AND_ASSIGN(const CommandResult result,
                       RunCommand(Shell("echo out; echo err >&2; exit 3")));
  EXPECT_EQ(result.exit, (ProcessExit{.exit_code = 3, .signal = 0}));
  EXPECT_EQ(result.stdout_text, "out\n");
  EXPECT_EQ(result.stderr_text, "err\n");
}

TEST(ProcessTest, PassesTheEnvironment) {
  ProcessOptions options = Shell("echo $A:$HOME:$B");
  options.environment = {"A=1", "HOME=other", "B=two words"};
  ASSERT_OK_AND_ASSIGN(const CommandResult result, RunCommand(options));
  EXPECT_EQ(result.stdout_text, "1:other:two words\n");
}

TEST(ProcessTest, SaysWhichSignalEndedIt) {
  ASSERT_OK_AND_ASSIGN(const auto process,
                       Process::Start(Shell("exec cat /dev/zero >/dev/null")));
  EXPECT_TRUE(process->running());
  EXPECT_THAT(process->Terminate(),
              IsOkAndHolds(ProcessExit{.exit_code = -1, .signal = SIGTERM}));
  EXPECT_FALSE(process->running());
}

TEST(ProcessTest, AwaitsAnEndpointFile) {
  const TempDir dir;
  ASSERT_OK_AND_ASSIGN(
      const auto process,
      Process::Start(Shell("echo unix:/a > " + (dir / "e.tmp") + "; mv " +
                           (dir / "e.tmp") + " " + (dir / "e") +
                           "; exec cat /dev/zero >/dev/null")));
  EXPECT_THAT(process->AwaitEndpoint(dir / "e"),
              IsOkAndHolds(std::string("unix:/a")));
}

TEST(ProcessTest, AnEndBeforeTheEndpointIsToldWithTheLastWords) {
  const TempDir dir;
  ASSERT_OK_AND_ASSIGN(const auto process,
                       Process::Start(Shell("echo port taken >&2; exit 1")));
  EXPECT_THAT(process->AwaitEndpoint(dir / "e"),
              StatusIs(absl::StatusCode::kUnavailable, "port taken"));
}

TEST(ProcessTest, AProgramThatIsNotThereIsAnError) {
  EXPECT_THAT(Process::Start({.command = {"headstart-none"}}),
              StatusIs(absl::StatusCode::kNotFound, "bin/headstart-none"));
}

TEST(ProcessTest, OutputGoesToTheFolderAskedFor) {
  const TempDir dir;
  ProcessOptions options = Shell("echo kept");
  options.folder = dir / "log";
  ASSERT_OK(RunCommand(options));
  EXPECT_THAT(ReadFile(dir / "log/stdout"),
              IsOkAndHolds(std::string("kept\n")));
}

TEST(ProcessTest, KnowsTheSources) {
  EXPECT_OK(ReadFile(SourceFolder() + "/CMakeLists.txt"));
}

}  // namespace
}  // namespace headstart
