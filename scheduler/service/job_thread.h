// One thread for answers that take long to work out, such as a replay or a
// report: neither the engine nor gRPC waits for them.
#pragma once

#include <deque>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "base/mutex.h"

namespace headstart::scheduler {

// Runs jobs one after another, in the order they came. Any thread may call.
class JobThread {
 public:
  using Job = absl::AnyInvocable<void()>;

  JobThread();
  // Runs all jobs that are there first.
  ~JobThread();

  JobThread(const JobThread&) = delete;
  JobThread& operator=(const JobThread&) = delete;

  void Run(Job job);

 private:
  void RunJobs();

  Mutex mu_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mu_);
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // Last: it uses the others.
};

}  // namespace headstart::scheduler
