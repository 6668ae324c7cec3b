#include "worker/dataset_files/parallel.h"

#include <algorithm>
#include <limits>
#include <thread>
#include <vector>

#include "absl/time/time.h"

#include "base/mutex.h"

namespace headstart::worker {
namespace {

// What the threads share.
struct Progress {
  Mutex mu;
  int64_t next ABSL_GUARDED_BY(mu) = 0;
  int64_t busy ABSL_GUARDED_BY(mu) = 0;
  int64_t failed ABSL_GUARDED_BY(mu) = std::numeric_limits<int64_t>::max();
  absl::Status status ABSL_GUARDED_BY(mu);
};

void Work(Progress& progress, int64_t count,
          absl::FunctionRef<absl::Status(int64_t)> work) {
  while (true) {
    int64_t number;
    {
      const MutexLock lock(&progress.mu);
      // Numbers are handed out in order: all below one that failed have been
      // begun, so the lowest failure is always found.
      if (!progress.status.ok() || progress.next == count) {
        --progress.busy;
        return;
      }
      number = progress.next++;
    }
    const absl::Status status = work(number);
    if (status.ok()) continue;
    const MutexLock lock(&progress.mu);
    if (number > progress.failed) continue;
    progress.failed = number;
    progress.status = status;
  }
}

}  // namespace

absl::Status ForEach(int64_t count, int64_t threads,
                     absl::FunctionRef<bool()> cancelled,
                     absl::FunctionRef<absl::Status(int64_t)> work) {
  if (count == 0) return absl::OkStatus();
  Progress progress;
  std::vector<std::thread> workers(std::clamp<int64_t>(count, 1, threads));
  {
    const MutexLock lock(&progress.mu);
    progress.busy = workers.size();
  }
  for (std::thread& worker : workers) {
    worker = std::thread([&] { Work(progress, count, work); });
  }
  bool done = false;
  bool moved = true;
  int64_t seen = 0;
  while (!done) {
    const bool stop = moved && cancelled();
    const MutexLock lock(&progress.mu);
    moved = progress.next > seen;
    seen = progress.next;
    if (stop && progress.status.ok()) progress.status = absl::CancelledError();
    done = progress.mu.AwaitWithTimeout(
        [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(progress.mu) {
          return progress.busy == 0;
        },
        absl::Milliseconds(100));
  }
  for (std::thread& worker : workers) worker.join();
  const MutexLock lock(&progress.mu);
  return progress.status;
}

}  // namespace headstart::worker
