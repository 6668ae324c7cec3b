#include "worker/agent/trainer_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace headstart::worker {
namespace {

// The number that the trainer's end of the socket has in the trainer.
constexpr int kTrainerSocket = 3;
constexpr absl::Duration kSendTimeout = absl::Seconds(10);

// Our own environment with `added` in place of variables of the same names.
std::vector<std::string> MergedEnvironment(
    const std::vector<std::string>& added) {
  std::vector<std::string> merged = added;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    const std::string name = text.substr(0, text.find('=') + 1);
    if (std::none_of(added.begin(), added.end(), [&](const std::string& other) {
          return other.compare(0, name.size(), name) == 0;
        })) {
      merged.push_back(text);
    }
  }
  return merged;
}

std::vector<char*> PointersTo(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// posix_spawn, which is safe beside our threads where fork is not.
absl::StatusOr<pid_t> Spawn(const TrainerOptions& options, int socket,
                            int standard_error) {
  std::vector<std::string> arguments = {options.program};
  arguments.insert(arguments.end(), options.arguments.begin(),
                   options.arguments.end());
  arguments.push_back("--socket-fd");
  arguments.push_back(absl::StrCat(kTrainerSocket));
  std::vector<std::string> environment = MergedEnvironment(options.environment);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY,
                                   0);
  posix_spawn_file_actions_adddup2(&files, standard_error, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, standard_error, STDERR_FILENO);
  // Of equal numbers dup2 clears the close-on-exec flag, which is wanted too.
  posix_spawn_file_actions_adddup2(&files, socket, kTrainerSocket);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP |
                                            POSIX_SPAWN_SETSIGDEF |
                                            POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setpgroup(&attributes, 0);
  sigset_t signals;
  sigfillset(&signals);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);

  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, options.program.c_str(), &files, &attributes,
                  PointersTo(arguments).data(), PointersTo(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    return ErrnoStatus(error, absl::StrCat("starting ", options.program));
  }
  return pid;
}

// `killed`: by us, for it took too long to end.
v1::Failure DescribeEnd(const siginfo_t& info, bool killed) {
  v1::Failure failure;
  if (killed && info.si_code != CLD_EXITED && info.si_status == SIGKILL) {
    failure.set_reason(v1::Failure::EXIT);
    failure.set_message("the trainer did not end by itself and was killed");
    return failure;
  }
  if (info.si_code == CLD_EXITED) {
    failure.set_reason(v1::Failure::EXIT);
    failure.set_message(
        absl::StrCat("the trainer ended with exit code ", info.si_status));
    return failure;
  }
  failure.set_reason(v1::Failure::SIGNAL);
  failure.set_exit_signal(info.si_status);
  failure.set_message(absl::StrCat("signal ", info.si_status, " (",
                                   strsignal(info.si_status),
                                   ") ended the trainer"));
  if (info.si_status == SIGKILL) {
    absl::StrAppend(failure.mutable_message(),
                    "; the kernel sends it when memory runs out: see dmesg, "
                    "and give the worker fewer slots or the model less");
  }
  return failure;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TrainerProcess>> TrainerProcess::Start(
    const TrainerOptions& options, TrainerLog& log) {
  HS_ASSIGN_OR_RETURN(auto ends, FrameSocket::MakePair());
  int log_ends[2];
  if (pipe2(log_ends, O_CLOEXEC) != 0) {
    return ErrnoStatus(errno, "making a pipe");
  }
  UniqueFd log_read(log_ends[0]);
  UniqueFd log_write(log_ends[1]);
  fcntl(log_read.get(), F_SETFL, O_NONBLOCK);
  HS_ASSIGN_OR_RETURN(const pid_t pid,
                      Spawn(options, ends.second.get(), log_write.get()));
  // glibc 2.36 declares pidfd_open in a way that C++ cannot link.
  UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  // The child is not reaped yet, so its pid is its own.
  HS_CHECK(process.valid()) << "pidfd_open: " << strerror(errno);
  HS_LOG(kInfo, "trainer started pid={} program={}", pid, options.program);
  return std::unique_ptr<TrainerProcess>(
      new TrainerProcess(pid, std::move(process), std::move(ends.first),
                         std::move(log_read), log));
}

TrainerProcess::TrainerProcess(pid_t pid, UniqueFd process, UniqueFd socket,
                               UniqueFd log_end, TrainerLog& log)
    : pid_(pid),
      process_(std::move(process)),
      socket_(std::move(socket)),
      log_end_(std::move(log_end)),
      log_(log) {}

TrainerProcess::~TrainerProcess() { End(absl::ZeroDuration()); }

absl::Status TrainerProcess::Send(const AgentMessage& message,
                                  absl::Span<const int> descriptors) {
  return socket_.Send(ToJson(message), descriptors, kSendTimeout);
}

absl::StatusOr<TrainerMessage> TrainerProcess::Receive() {
  absl::StatusOr<std::optional<Frame>> frame =
      socket_.Receive(absl::ZeroDuration());
  if (absl::IsDeadlineExceeded(frame.status()) && Exited()) {
    // It may have written something between the two looks.
    frame = socket_.Receive(absl::ZeroDuration());
    if (absl::IsDeadlineExceeded(frame.status())) {
      return absl::UnavailableError("the trainer has ended");
    }
  }
  HS_RETURN_IF_ERROR(frame.status());
  if (!frame->has_value()) {
    return absl::UnavailableError("the trainer has closed its socket");
  }
  return ParseTrainerMessage((*frame)->line);
}

void TrainerProcess::ReadLog() {
  char buffer[16 << 10];
  // Bounded: a trainer that never stops writing must not hold the agent up.
  for (int i = 0; i < 64 && log_end_.valid(); ++i) {
    const ssize_t size = read(log_end_.get(), buffer, sizeof(buffer));
    if (size > 0) {
      log_.Append(absl::string_view(buffer, size));
    } else if (size == 0) {
      log_end_.Reset();
    } else if (errno != EINTR) {
      return;
    }
  }
}

bool TrainerProcess::Exited() const {
  if (ended_.has_value()) return true;
  pollfd entry = {.fd = process_.get(), .events = POLLIN, .revents = 0};
  return poll(&entry, 1, 0) > 0;
}

v1::Failure TrainerProcess::End(absl::Duration patience) {
  if (ended_.has_value()) return *ended_;
  Clock& clock = Clock::Real();
  const absl::Duration deadline = clock.Monotonic() + patience;
  bool killed = false;
  while (!Exited()) {
    const absl::Duration left = deadline - clock.Monotonic();
    if (left <= absl::ZeroDuration()) {
      kill(pid_, SIGKILL);
      killed = true;
      break;
    }
    // A trainer that writes its last words must not block on a full pipe.
    pollfd entries[] = {{.fd = process_.get(), .events = POLLIN, .revents = 0},
                        {.fd = log_end_.get(), .events = POLLIN, .revents = 0}};
    poll(entries, 2,
         static_cast<int>(absl::ToInt64Milliseconds(
             absl::Ceil(left, absl::Milliseconds(1)))));
    ReadLog();
  }
  siginfo_t info = {};
  while (waitid(P_PIDFD, process_.get(), &info, WEXITED) != 0) {
    HS_CHECK(errno == EINTR) << "waitid: " << strerror(errno);
  }
  ReadLog();
  ended_ = DescribeEnd(info, killed);
  ended_->set_log_tail(log_.Tail());
  HS_LOG(kInfo, "trainer ended pid={} how=\"{}\"", pid_, ended_->message());
  return *ended_;
}

std::vector<pollfd> TrainerProcess::poll_entries() const {
  std::vector<pollfd> entries;
  for (const int fd : {process_.get(), socket_.descriptor(), log_end_.get()}) {
    if (fd >= 0) entries.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  }
  return entries;
}

}  // namespace headstart::worker
