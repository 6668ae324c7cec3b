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

// Zeros when neither stdout nor stderr is a terminal.
winsize TerminalSize() {
  for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO}) {
    winsize size = {};
    if (ioctl(descriptor, TIOCGWINSZ, &size) == 0) return size;
  }
  return {};
}

// Some terminals do not know their size either.
int64_t TerminalColumns() {
  const int64_t columns = TerminalSize().ws_col;
  return columns > 0 ? columns : 80;
}

int64_t TerminalRows() {
  const int64_t rows = TerminalSize().ws_row;
  return rows > 0 ? rows : 24;
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
       .columns = TerminalColumns,
       .rows = TerminalRows});
}
