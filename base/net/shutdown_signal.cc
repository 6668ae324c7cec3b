#include "base/net/shutdown_signal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "base/check.h"
#include "base/log.h"

namespace headstart {
namespace {

constexpr int kSignals[] = {SIGTERM, SIGINT};

std::atomic<int> write_end = -1;

void OnSignal(int number) {
  const int saved_errno = errno;
  const char byte = static_cast<char>(number);
  // Nothing can be done here about a full pipe, and one byte is enough.
  [[maybe_unused]] const ssize_t count = write(write_end, &byte, 1);
  errno = saved_errno;
}

void SetHandler(void (*handler)(int), int flags) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  for (const int number : kSignals) {
    HS_CHECK_EQ(sigaction(number, &action, nullptr), 0);
  }
}

}  // namespace

ShutdownSignal::ShutdownSignal() {
  HS_CHECK_EQ(write_end.load(), -1);
  HS_CHECK_EQ(pipe2(pipe_, O_CLOEXEC), 0);
  write_end = pipe_[1];
  thread_ = std::thread([this] {
    char number = 0;
    while (read(pipe_[0], &number, 1) < 0 && errno == EINTR) {
    }
    if (number != 0) {
      HS_LOG(kInfo, "shutdown begins signal={}", int{number});
      event_.Stop();
    }
  });
  SetHandler(OnSignal, SA_RESTART | SA_RESETHAND);
}

ShutdownSignal::~ShutdownSignal() {
  SetHandler(SIG_DFL, 0);
  write_end = -1;
  const char stop = 0;
  HS_CHECK_EQ(write(pipe_[1], &stop, 1), 1);
  thread_.join();
  close(pipe_[0]);
  close(pipe_[1]);
}

void ShutdownSignal::Wait() const {
#ifdef HS_TSAN
  // The sanitizer keeps a signal back until the thread that got it calls libc,
  // which waiting in Abseil never does.
  while (!event_.stopped()) poll(nullptr, 0, /*timeout=*/10);
#else
  event_.Wait();
#endif
}

}  // namespace headstart
