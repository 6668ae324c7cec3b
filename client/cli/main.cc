// `headstart`: the client of a cluster, and the supervisor of one on this
// machine.
//
// Threads: this one runs the command; gRPC's, which hold no state of ours; for
// `up` and `run` the supervisor's (supervisor.h) and one that waits for a
// signal.
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "client/cli/commands.h"

int main(int argc, char** argv) {
  // A closed pipe is an error of the write, not the end of `run`.
  std::signal(SIGPIPE, SIG_IGN);
  return headstart::client::RunHeadstart(
      std::vector<std::string>(argv + (argc > 0), argv + argc),
      {.out = &std::cout,
       .error = &std::cerr,
       .out_is_terminal = isatty(STDOUT_FILENO) == 1,
       .error_is_terminal = isatty(STDERR_FILENO) == 1});
}
