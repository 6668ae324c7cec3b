// The `headstart` program: its table of commands, and how one is run.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "base/clock.h"

namespace headstart::client {

// What the program is started with, so that tests can be its terminal.
struct Terminal {
  std::ostream* out = nullptr;
  std::ostream* error = nullptr;
  bool out_is_terminal = false;
  bool error_is_terminal = false;
  std::function<int64_t()> columns = [] { return 80; };
  std::function<int64_t()> rows = [] { return 24; };
  Clock* clock = &Clock::Real();
};

// Runs `headstart` with `arguments`, without the program's name. Returns the
// exit code: 0 done, 1 the service said no, 2 used wrongly.
int RunHeadstart(const std::vector<std::string>& arguments,
                 const Terminal& terminal);

}  // namespace headstart::client
