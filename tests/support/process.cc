#include "tests/support/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "tests/support/temp_dir.h"

extern char** environ;

namespace headstart {
namespace {

constexpr size_t kTailBytes = 4000;
constexpr absl::Duration kPollInterval = absl::Milliseconds(5);

// Tries `done` until it is true. The kernel tells nobody when a file appears
// and, portably, when a child ends within a time; so this asks again and again.
bool Poll(absl::Duration timeout, const std::function<bool()>& done) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!done()) {
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(kPollInterval);
  }
  return true;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// This process's environment, with `changes` in place of their names' values.
std::vector<std::string> Environment(const std::vector<std::string>& changes) {
  const auto name = [](absl::string_view entry) {
    return entry.substr(0, entry.find('='));
  };
  std::vector<std::string> environment = changes;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const bool changed = std::any_of(changes.begin(), changes.end(),
                                     [&](const std::string& change) {
                                       return name(change) == name(*entry);
                                     });
    if (!changed) environment.push_back(*entry);
  }
  return environment;
}

std::string LastBytes(std::string text) {
  if (text.size() > kTailBytes) text.erase(0, text.size() - kTailBytes);
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Process>> Process::Start(
    ProcessOptions options) {
  HS_CHECK(!options.command.empty());
  std::string program = options.command[0];
  if (program.find('/') == std::string::npos) {
    program = absl::StrCat(ProgramsFolder(), "/", program);
  }

  const bool owns_folder = options.folder.empty();
  if (owns_folder) {
    options.folder = "/tmp/headstart.process.XXXXXX";
    HS_CHECK(mkdtemp(options.folder.data()) != nullptr);
  } else {
    HS_RETURN_IF_ERROR(MakeFolders(options.folder));
  }

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  absl::Cleanup destroy_actions = [&] {
    posix_spawn_file_actions_destroy(&actions);
  };
  const std::string out = absl::StrCat(options.folder, "/stdout");
  const std::string err = absl::StrCat(options.folder, "/stderr");
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND;
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), kFlags, 0644);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), kFlags, 0644);

  std::vector<std::string> environment = Environment(options.environment);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &actions, nullptr,
                                Pointers(options.command).data(),
                                Pointers(environment).data());
  if (error != 0) {
    return ErrnoStatus(error, absl::StrCat("starting ", program));
  }
  return std::unique_ptr<Process>(
      new Process(pid, std::move(options.folder), owns_folder));
}

Process::~Process() {
  Kill();
  std::error_code ignored;
  if (owns_folder_) std::filesystem::remove_all(folder_, ignored);
}

void Process::Signal(int number) {
  if (!exit_.has_value()) kill(pid_, number);
}

bool Process::running() {
  if (exit_.has_value()) return false;
  int status = 0;
  const pid_t ended = waitpid(pid_, &status, WNOHANG);
  if (ended == 0) return true;
  HS_CHECK_EQ(ended, pid_);
  exit_ = WIFEXITED(status)
              ? ProcessExit{.exit_code = WEXITSTATUS(status), .signal = 0}
              : ProcessExit{.exit_code = -1, .signal = WTERMSIG(status)};
  return false;
}

absl::StatusOr<ProcessExit> Process::Wait(absl::Duration timeout) {
  if (Poll(timeout, [this] { return !running(); })) return *exit_;
  return absl::DeadlineExceededError(
      absl::StrCat("process ", pid_, " goes on after ",
                   absl::FormatDuration(timeout), ". ", Tail()));
}

absl::StatusOr<ProcessExit> Process::Terminate(absl::Duration timeout) {
  Signal(SIGTERM);
  return Wait(timeout);
}

void Process::Kill() {
  Signal(SIGKILL);
  HS_CHECK_OK(Wait(absl::InfiniteDuration()));
}

absl::StatusOr<std::string> Process::AwaitEndpoint(const std::string& path,
                                                   absl::Duration timeout) {
  absl::StatusOr<std::string> endpoint = absl::UnknownError("not read yet");
  const bool seen = Poll(timeout, [&] {
    const bool ended = !running();  // First: it may write and end in between.
    endpoint = ReadFile(path);
    return endpoint.ok() || ended;
  });
  if (endpoint.ok()) {
    return std::string(absl::StripAsciiWhitespace(*endpoint));
  }
  const std::string text = absl::StrCat("no ", path, ". ", Tail());
  return seen
             ? absl::UnavailableError(absl::StrCat("the program ended; ", text))
             : absl::DeadlineExceededError(text);
}

std::string Process::stdout_text() const {
  return ReadFile(absl::StrCat(folder_, "/stdout")).value_or("");
}

std::string Process::stderr_text() const {
  return ReadFile(absl::StrCat(folder_, "/stderr")).value_or("");
}

std::string Process::Tail() const {
  return absl::StrCat("stdout:\n", LastBytes(stdout_text()), "\nstderr:\n",
                      LastBytes(stderr_text()));
}

absl::StatusOr<CommandResult> RunCommand(ProcessOptions options,
                                         absl::Duration timeout) {
  HS_ASSIGN_OR_RETURN(const std::unique_ptr<Process> process,
                      Process::Start(std::move(options)));
  HS_ASSIGN_OR_RETURN(const ProcessExit exit, process->Wait(timeout));
  return CommandResult{.exit = exit,
                       .stdout_text = process->stdout_text(),
                       .stderr_text = process->stderr_text()};
}

std::string ProgramsFolder() { return HEADSTART_PROGRAMS_FOLDER; }
std::string SourceFolder() { return HEADSTART_SOURCE_FOLDER; }

}  // namespace headstart
