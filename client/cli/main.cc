// `headstart`: the client of a cluster, and the supervisor of one on this
// machine.
//
// Threads: this one runs the command; gRPC's, which hold no state of ours; for
// `up` and `run` the supervisor's (supervisor.h) and one that waits for a
// signal.
#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "base/log.h"
#include "client/cli/commands.h"

namespace {

int64_t TerminalColumns() {
  for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO}) {
    winsize size = {};
    if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
      return size.ws_col;
    }
  }
  return 80;
}

}  // namespace

int main(int argc, char** argv) {
  // A closed pipe is an error of the write, not the end of `run`.
  std::signal(SIGPIPE, SIG_IGN);
  // What it says, it prints; the log would come between.
  headstart::SetLogSeverityMin(headstart::LogSeverity::kWarning);
  return headstart::client::RunHeadstart(
      std::vector<std::string>(argv + (argc > 0), argv + argc),
      {.out = &std::cout,
       .error = &std::cerr,
       .out_is_terminal = isatty(STDOUT_FILENO) == 1,
       .error_is_terminal = isatty(STDERR_FILENO) == 1,
       .columns = TerminalColumns});
}
