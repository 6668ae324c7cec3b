// Child programs: started in order, restarted when they die, ended in order.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace headstart::client {

struct ChildProgram {
  std::string name;                  // As messages call it.
  std::vector<std::string> command;  // Path of the program, then arguments.
  std::string log_file;              // What it writes is appended there.
  // It is ready when all of these files exist. Files of an earlier process are
  // removed before the first start. All in SupervisorOptions::ready_folder.
  std::vector<std::string> ready_files;
};

struct SupervisorOptions {
  // Each starts when the one before is ready; they end in the opposite order.
  std::vector<ChildProgram> children;
  std::string ready_folder;  // Exists.

  // A child that dies is started again after a wait that doubles with each
  // quick death; one that lived longer than quick_death begins anew.
  absl::Duration wait_initial = absl::Milliseconds(200);
  absl::Duration wait_max = absl::Seconds(10);
  absl::Duration quick_death = absl::Seconds(10);
  // Quick deaths in a row after which the supervisor gives up.
  int64_t quick_deaths_max = 5;

  // How long a child may take to become ready, or to end after SIGTERM.
  absl::Duration start_max = absl::Minutes(1);
  absl::Duration drain_max = absl::Minutes(2);

  // Told, a line each, when a child dies or will not end. On the supervisor's
  // thread.
  std::function<void(const std::string&)> say;
};

// Keeps some child programs running.
//
// Each is in a process group of its own, so that a terminal's Ctrl-C reaches
// only this process, and is killed when this process ends, however it ends.
// Everything happens on one thread: the kernel ties a child's life to the
// thread that forked it.
//
// One thread at a time may call; `stop` outlives the supervisor.
class Supervisor {
 public:
  // Begins to start the children. Stops `stop` when it gives up.
  static absl::StatusOr<std::unique_ptr<Supervisor>> Start(
      SupervisorOptions options, StopEvent& stop);

  // Stop.
  ~Supervisor();

  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Waits until every child has been ready.
  //   Cancelled           `stop` was stopped before that.
  //   FailedPrecondition  given up: which child, how it died, what it logged.
  absl::Status AwaitReady();

  // Ends the children, the last started first: SIGTERM, and SIGKILL for one
  // that takes longer than drain_max. Returns when all have ended. Repeating
  // it changes nothing.
  void Stop();

  // Not OK once the supervisor has given up.
  absl::Status status() const;

 private:
  struct Child {
    ChildProgram program;
    pid_t pid = -1;     // -1 while it does not run.
    int pid_file = -1;  // Readable when it has ended.
    bool was_ready = false;
    bool terminated = false;    // SIGTERM was sent.
    int64_t quick_deaths = 0;   // In a row.
    absl::Duration start_time;  // Monotonic, of the last start.
    absl::Duration next_time = -absl::InfiniteDuration();  // Of the next.
  };

  Supervisor(SupervisorOptions options, StopEvent& stop);

  // On the thread. Each returns when it must be called again at the latest.
  void Run();
  absl::Duration KeepRunning(absl::Duration now);
  absl::Duration EndInOrder(absl::Duration now);
  void WaitForSomething(absl::Duration now, absl::Duration until);

  absl::Status Spawn(Child& child, absl::Duration now);
  bool IsReady(const Child& child) const;
  void Reap(Child& child, absl::Duration now);
  void GiveUp(absl::Status why);
  bool is_stopping() const;

  const SupervisorOptions options_;
  StopEvent& stop_;
  int wake_file_ = -1;           // eventfd: Stop was called.
  int notify_file_ = -1;         // inotify of ready_folder.
  std::vector<Child> children_;  // Of the thread.

  mutable Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool all_ready_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

// The last lines of a file, for messages; empty when it cannot be read.
std::string LastLines(const std::string& path, int64_t count);

}  // namespace headstart::client
