// One trainer: started, spoken to, watched and ended.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "headstart/v1/trial.pb.h"
#include "worker/agent/trainer_log.h"
#include "worker/trainer_protocol/frame.h"
#include "worker/trainer_protocol/messages.h"

namespace headstart::worker {

struct TrainerOptions {
  std::string program;
  std::vector<std::string> arguments;    // --socket-fd N is added.
  std::vector<std::string> environment;  // NAME=value, added to our own.
};

// A trainer process in a process group of its own, so that a terminal's Ctrl-C
// reaches the agent alone, which then ends its trainers in order. A trainer
// ends by itself when its agent dies: it sees its socket close.
//
// Nothing here waits but Send, for at most 10 s, and End. Who owns it polls
// `poll_entries` and then calls ReadLog and Receive.
//
// One thread. Borrows `log`, which must outlive it.
class TrainerProcess final {
 public:
  static absl::StatusOr<std::unique_ptr<TrainerProcess>> Start(
      const TrainerOptions& options, TrainerLog& log);

  // Kills what still runs.
  ~TrainerProcess();
  TrainerProcess(const TrainerProcess&) = delete;
  TrainerProcess& operator=(const TrainerProcess&) = delete;

  // The descriptors stay the caller's. Not OK: the trainer is gone or hangs;
  // call End.
  absl::Status Send(const AgentMessage& message,
                    absl::Span<const int> descriptors = {});

  // The next message that is there.
  //   DeadlineExceeded  none is there now.
  //   Unavailable       the trainer has gone; there will be none. Call End.
  //   InvalidArgument   the trainer broke the protocol; kill it.
  absl::StatusOr<TrainerMessage> Receive();

  // Moves what the trainer has written on stderr into the log.
  void ReadLog();

  // Gives the process `patience` to end by itself, kills it then, and says how
  // it ended, with the log's tail: SIGNAL or EXIT. May be repeated.
  v1::Failure End(absl::Duration patience);

  // What to wait for: messages, log lines, the end of the process.
  std::vector<pollfd> poll_entries() const;

 private:
  TrainerProcess(pid_t pid, UniqueFd process, UniqueFd socket, UniqueFd log_end,
                 TrainerLog& log);

  bool Exited() const;

  const pid_t pid_;
  const UniqueFd process_;  // A pidfd: readable when the process has ended.
  FrameSocket socket_;
  UniqueFd log_end_;  // Our end of the stderr pipe.
  TrainerLog& log_;
  std::optional<v1::Failure> ended_;
};

}  // namespace headstart::worker
