#include "scheduler/service/answer_thread.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace headstart::scheduler {

AnswerThread::AnswerThread() : thread_([this] { RunAll(); }) {}

AnswerThread::~AnswerThread() {
  {
    MutexLock lock(&mu_);
    ending_ = true;
  }
  thread_.join();
}

absl::Status AnswerThread::Run(Work work) {
  MutexLock lock(&mu_);
  if (waiting_.size() >= kWaitingMax) {
    return absl::UnavailableError(
        absl::StrCat(kWaitingMax,
                     " replays and reports are waiting to be worked out. "
                     "Repeat the request later."));
  }
  waiting_.push_back(std::move(work));
  return absl::OkStatus();
}

void AnswerThread::RunAll() {
  while (true) {
    Work work;
    {
      MutexLock lock(&mu_);
      mu_.Await([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return ending_ || !waiting_.empty();
      });
      if (waiting_.empty()) return;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    work();
  }
}

}  // namespace headstart::scheduler
