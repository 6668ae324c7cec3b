// Child programs of a test: started, watched and ended by their pid.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace headstart {

struct ProcessOptions {
  // The program, then its arguments. A program without a slash is one of ours:
  // it is taken from ProgramsFolder().
  std::vector<std::string> command;

  // Where stdout and stderr go. Empty: to files of its own, for stdout() and
  // stderr() below.
  std::string folder;

  // NAME=value: changes to the test's own environment.
  std::vector<std::string> environment;
};

// How a process ended.
struct ProcessExit {
  int exit_code = -1;  // -1 when a signal ended it.
  int signal = 0;      // 0 when none did.

  bool operator==(const ProcessExit&) const = default;
};

// A running child program. Killed, with SIGKILL, when this object goes.
//
// One thread at a time.
class Process {
 public:
  static absl::StatusOr<std::unique_ptr<Process>> Start(ProcessOptions options);

  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }

  // Sends a signal; nothing when the process has been waited for.
  void Signal(int number);

  // Waits for the end. DeadlineExceeded, with what the program said last, when
  // it goes on for longer than `timeout`.
  absl::StatusOr<ProcessExit> Wait(absl::Duration timeout = absl::Minutes(2));

  // SIGTERM, then Wait.
  absl::StatusOr<ProcessExit> Terminate(
      absl::Duration timeout = absl::Minutes(2));

  // SIGKILL, then Wait.
  void Kill();

  // Whether the program still runs.
  bool running();

  // Waits until the program has written its endpoint to `path`. Unavailable,
  // with what the program said last, when it ends before, DeadlineExceeded
  // when that takes longer than `timeout`. Remove an old file before Start.
  absl::StatusOr<std::string> AwaitEndpoint(
      const std::string& path, absl::Duration timeout = absl::Minutes(1));

  // What the program has written so far.
  std::string stdout_text() const;
  std::string stderr_text() const;

 private:
  Process(pid_t pid, std::string folder, bool owns_folder)
      : pid_(pid), folder_(std::move(folder)), owns_folder_(owns_folder) {}

  // What it said last, for messages.
  std::string Tail() const;

  const pid_t pid_;
  const std::string folder_;
  const bool owns_folder_;
  std::optional<ProcessExit> exit_;
};

// Starts the program, waits for its end, and gives what it wrote.
struct CommandResult {
  ProcessExit exit;
  std::string stdout_text;
  std::string stderr_text;
};
absl::StatusOr<CommandResult> RunCommand(
    ProcessOptions options, absl::Duration timeout = absl::Minutes(2));

// The folder of this build's programs, and the root of the sources.
std::string ProgramsFolder();
std::string SourceFolder();

}  // namespace headstart
