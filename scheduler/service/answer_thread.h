// One thread for answers that take long to work out, such as a replay or a
// report: neither the engine nor gRPC waits for them.
#pragma once

#include <deque>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/mutex.h"

namespace headstart::scheduler {

// Works answers out one after another, in the order they came. Any thread may
// call.
class AnswerThread {
 public:
  using Work = absl::AnyInvocable<void()>;

  AnswerThread();
  // Does all that is there first.
  ~AnswerThread();

  AnswerThread(const AnswerThread&) = delete;
  AnswerThread& operator=(const AnswerThread&) = delete;

  //   Unavailable  kWaitingMax wait already; `work` is not done.
  absl::Status Run(Work work);

 private:
  static constexpr size_t kWaitingMax = 16;

  void RunAll();

  Mutex mu_;
  std::deque<Work> waiting_ ABSL_GUARDED_BY(mu_);
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // Last: it uses the others.
};

}  // namespace headstart::scheduler
