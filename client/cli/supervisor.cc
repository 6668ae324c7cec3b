#include "client/cli/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/cli/units.h"

namespace headstart::client {
namespace {

absl::Duration Now() { return Clock::Real().Monotonic(); }

// "with exit code 1", "by signal 9 (Killed)".
std::string HowItEnded(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) {
    return absl::StrCat("with exit code ", info.si_status);
  }
  return absl::StrCat("by signal ", info.si_status, " (",
                      strsignal(info.si_status), ")");
}

// In the child, after fork: only calls that are safe there.
[[noreturn]] void BecomeProgram(char* const* arguments, int log_file,
                                int null_file, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // The parent ended before that.
  setpgid(0, 0);
  // What this process ignores or blocks, the program need not.
  struct sigaction default_action = {};
  default_action.sa_handler = SIG_DFL;
  sigaction(SIGPIPE, &default_action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(null_file, STDIN_FILENO);
  dup2(log_file, STDOUT_FILENO);
  dup2(log_file, STDERR_FILENO);
  syscall(SYS_close_range, 3u, UINT_MAX, 0u);
  execv(arguments[0], arguments);
  const char* const program = arguments[0];
  const char* const error = strerrordesc_np(errno);
  for (const char* text : {program, ": ", error, "\n"}) {
    if (write(STDERR_FILENO, text, strlen(text)) < 0) break;
  }
  _exit(127);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Supervisor>> Supervisor::Start(
    SupervisorOptions options, StopEvent& stop) {
  auto supervisor =
      std::unique_ptr<Supervisor>(new Supervisor(std::move(options), stop));
  supervisor->wake_file_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  supervisor->notify_file_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (supervisor->wake_file_ < 0 || supervisor->notify_file_ < 0) {
    return ErrnoStatus(errno, "preparing to watch child programs");
  }
  const std::string& folder = supervisor->options_.ready_folder;
  if (inotify_add_watch(supervisor->notify_file_, folder.c_str(),
                        IN_CREATE | IN_MOVED_TO) < 0) {
    return ErrnoStatus(errno, absl::StrCat("watching the folder ", folder));
  }
  for (const Child& child : supervisor->children_) {
    for (const std::string& file : child.program.ready_files) {
      HS_RETURN_IF_ERROR(RemoveFile(file));
    }
  }
  supervisor->thread_ = std::thread([s = supervisor.get()] { s->Run(); });
  return supervisor;
}

Supervisor::Supervisor(SupervisorOptions options, StopEvent& stop)
    : options_(std::move(options)), stop_(stop) {
  for (const ChildProgram& program : options_.children) {
    children_.emplace_back().program = program;
  }
}

Supervisor::~Supervisor() {
  Stop();
  for (const int file : {wake_file_, notify_file_}) {
    if (file >= 0) close(file);
  }
}

absl::Status Supervisor::AwaitReady() {
  const auto is_decided = [this] {
    MutexLock lock(&mu_);
    return all_ready_ || !status_.ok();
  };
  stop_.WaitOr(is_decided, absl::InfiniteDuration());
  MutexLock lock(&mu_);
  HS_RETURN_IF_ERROR(status_);
  if (!all_ready_) return absl::CancelledError("stopped while it started");
  return absl::OkStatus();
}

void Supervisor::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  HS_CHECK_EQ(write(wake_file_, &one, sizeof(one)),
              static_cast<ssize_t>(sizeof(one)));
  thread_.join();
}

absl::Status Supervisor::status() const {
  MutexLock lock(&mu_);
  return status_;
}

bool Supervisor::is_stopping() const {
  MutexLock lock(&mu_);
  return stopping_;
}

void Supervisor::Run() {
  const auto runs = [](const Child& child) { return child.pid > 0; };
  while (true) {
    const absl::Duration now = Now();
    absl::Duration until;
    if (!is_stopping()) {
      until = KeepRunning(now);
    } else if (std::any_of(children_.begin(), children_.end(), runs)) {
      until = EndInOrder(now);
    } else {
      return;
    }
    WaitForSomething(now, until);
  }
}

absl::Duration Supervisor::KeepRunning(absl::Duration now) {
  absl::Duration until = absl::InfiniteDuration();
  if (!status().ok()) return until;  // Given up: wait for Stop.
  for (Child& child : children_) {
    if (child.pid < 0 && now >= child.next_time) {
      if (absl::Status started = Spawn(child, now); !started.ok()) {
        GiveUp(std::move(started));
        return absl::InfiniteDuration();
      }
    }
    if (child.pid < 0) until = std::min(until, child.next_time);
    if (child.was_ready) continue;
    if (child.pid > 0 && IsReady(child)) {
      child.was_ready = true;
      continue;
    }
    if (child.pid > 0 && now - child.start_time >= options_.start_max) {
      GiveUp(absl::DeadlineExceededError(
          absl::StrCat(child.program.name, " is not ready after ",
                       HumanDuration(options_.start_max),
                       ". The last lines of ", child.program.log_file, ":\n",
                       LastLines(child.program.log_file, 20))));
      return absl::InfiniteDuration();
    }
    if (child.pid > 0) {
      until = std::min(until, child.start_time + options_.start_max);
    }
    return until;  // Those that follow need this one.
  }
  {
    MutexLock lock(&mu_);
    all_ready_ = true;
  }
  stop_.Wake();
  return until;
}

absl::Duration Supervisor::EndInOrder(absl::Duration now) {
  for (auto child = children_.rbegin(); child != children_.rend(); ++child) {
    if (child->pid < 0) continue;
    if (!child->terminated) {
      child->terminated = true;
      child->start_time = now;
      kill(child->pid, SIGTERM);
    }
    const absl::Duration deadline = child->start_time + options_.drain_max;
    if (now < deadline) return deadline;
    options_.say(absl::StrCat(child->program.name, " has not ended within ",
                              HumanDuration(options_.drain_max),
                              " and is killed"));
    kill(child->pid, SIGKILL);
    return absl::InfiniteDuration();
  }
  return absl::InfiniteDuration();
}

void Supervisor::WaitForSomething(absl::Duration now, absl::Duration until) {
  std::vector<pollfd> files = {{.fd = wake_file_, .events = POLLIN},
                               {.fd = notify_file_, .events = POLLIN}};
  for (const Child& child : children_) {
    files.push_back({.fd = child.pid_file, .events = POLLIN});  // -1: ignored.
  }
  int timeout_ms = -1;
  if (until != absl::InfiniteDuration()) {
    timeout_ms = static_cast<int>(
        absl::ToInt64Milliseconds(
            std::clamp(until - now, absl::ZeroDuration(), absl::Hours(1))) +
        1);
  }
  poll(files.data(), files.size(), timeout_ms);

  // What woke us is looked at anew in any case: only empty the files.
  char ignored[4096];
  for (const int file : {wake_file_, notify_file_}) {
    while (read(file, ignored, sizeof(ignored)) > 0) {
    }
  }
  for (size_t i = 0; i < children_.size(); ++i) {
    if (files[i + 2].revents != 0) Reap(children_[i], Now());
  }
}

absl::Status Supervisor::Spawn(Child& child, absl::Duration now) {
  const ChildProgram& program = child.program;
  std::vector<std::string> command = program.command;
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);

  const int null_file = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int log_file = open(program.log_file.c_str(),
                            O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const int open_error = errno;
  const pid_t parent = getpid();
  const pid_t pid = null_file < 0 || log_file < 0 ? -1 : fork();
  const int fork_error = errno;
  if (pid == 0) {
    BecomeProgram(arguments.data(), log_file, null_file, parent);
  }
  for (const int file : {null_file, log_file}) {
    if (file >= 0) close(file);
  }
  if (log_file < 0) {
    return ErrnoStatus(open_error, absl::StrCat("opening ", program.log_file));
  }
  if (pid < 0) {
    return ErrnoStatus(fork_error, absl::StrCat("starting ", program.name));
  }
  child.pid = pid;
  child.pid_file = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  HS_CHECK(child.pid_file >= 0) << "pidfd_open: " << strerror(errno);
  child.start_time = now;
  return absl::OkStatus();
}

bool Supervisor::IsReady(const Child& child) const {
  return std::all_of(
      child.program.ready_files.begin(), child.program.ready_files.end(),
      [](const std::string& file) { return access(file.c_str(), F_OK) == 0; });
}

void Supervisor::Reap(Child& child, absl::Duration now) {
  siginfo_t info = {};
  HS_CHECK_EQ(waitid(P_PID, child.pid, &info, WEXITED), 0);
  close(child.pid_file);
  const pid_t pid = std::exchange(child.pid, -1);
  child.pid_file = -1;
  if (is_stopping() || !status().ok()) return;

  const absl::Duration lived = now - child.start_time;
  child.quick_deaths =
      lived < options_.quick_death ? child.quick_deaths + 1 : 0;
  const std::string& log_file = child.program.log_file;
  if (child.quick_deaths >= options_.quick_deaths_max) {
    GiveUp(absl::FailedPreconditionError(absl::StrCat(
        child.program.name, " ended ", child.quick_deaths,
        " times soon after its start, the last time ", HowItEnded(info),
        ". The last lines of ", log_file, ":\n", LastLines(log_file, 20))));
    return;
  }
  absl::Duration wait = options_.wait_initial;
  for (int64_t i = 1; i < child.quick_deaths; ++i) wait *= 2;
  wait = std::min(wait, options_.wait_max);
  child.next_time = now + wait;
  options_.say(absl::StrCat(child.program.name, " (process ", pid, ") ended ",
                            HowItEnded(info), " after ", HumanDuration(lived),
                            "; it is started again in ", HumanDuration(wait),
                            ". Its log: ", log_file));
}

void Supervisor::GiveUp(absl::Status why) {
  {
    MutexLock lock(&mu_);
    status_ = std::move(why);
  }
  stop_.Stop();
}

std::string LastLines(const std::string& path, int64_t count) {
  constexpr int64_t kBytesMax = 16 * 1024;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";
  const int64_t size = file.tellg();
  file.seekg(std::max<int64_t>(0, size - kBytesMax));
  std::string text(std::min(size, kBytesMax), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(file.gcount());
  std::vector<std::string> lines =
      absl::StrSplit(text, '\n', absl::SkipEmpty());
  if (static_cast<int64_t>(lines.size()) > count) {
    lines.erase(lines.begin(), lines.end() - count);
  }
  return absl::StrJoin(lines, "\n");
}

}  // namespace headstart::client
