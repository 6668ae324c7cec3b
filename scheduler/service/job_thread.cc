#include "scheduler/service/job_thread.h"

#include <utility>

namespace headstart::scheduler {

JobThread::JobThread() : thread_([this] { RunJobs(); }) {}

JobThread::~JobThread() {
  {
    MutexLock lock(&mu_);
    ending_ = true;
  }
  thread_.join();
}

void JobThread::Run(Job job) {
  MutexLock lock(&mu_);
  jobs_.push_back(std::move(job));
}

void JobThread::RunJobs() {
  while (true) {
    Job job;
    {
      MutexLock lock(&mu_);
      mu_.Await([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return ending_ || !jobs_.empty();
      });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job();
  }
}

}  // namespace headstart::scheduler
