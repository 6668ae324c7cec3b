// What the agent has to tell the scheduler about its attempts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"
#include "headstart/v1/worker_service.pb.h"

namespace headstart::worker {

// One lease on a run, as this worker holds it.
struct AttemptKey {
  std::string run;
  int64_t attempt = 0;
  int64_t token = 0;

  static AttemptKey Of(const v1::Assignment& assignment) {
    return {assignment.run(), assignment.attempt(), assignment.token()};
  }
  auto operator<=>(const AttemptKey&) const = default;
};

// The state of every attempt that this agent holds or has unacknowledged news
// of, and the news themselves: they stay until the scheduler has recorded them.
//
// Slots write, the Synchronize loop reads and removes. An attempt begins at
// most once: an assignment that comes again after its end, from a doubled or
// late answer, is recognised by its token.
//
// Any thread may call. `on_news` is called, without a lock held, whenever there
// is something that should not wait for the next regular Synchronize.
class AttemptBoard final {
 public:
  explicit AttemptBoard(std::function<void()> on_news);

  // False when this attempt, or a newer one of its run, was begun before.
  bool Begin(const AttemptKey& key);

  // The rest is for attempts that have begun and not ended.
  void SetRunning(const AttemptKey& key, const v1::EffectiveValues& effective);
  void SetProgress(const AttemptKey& key, int64_t epoch, double progress);
  // As AttemptStatus.activity; the first is news. SetRunning empties it.
  void SetActivity(const AttemptKey& key, const std::string& activity);
  // As AttemptStatus.waiting_for.
  void SetWaiting(const AttemptKey& key, const std::string& waiting_for);
  void AddReport(const AttemptKey& key, v1::EpochReport report);
  // RELEASED, SUCCEEDED, or FAILED with `failure`.
  void End(const AttemptKey& key, v1::Attempt::State state,
           const v1::Failure& failure);

  // Drops what the scheduler is done with. Others are ignored.
  void Acknowledge(const v1::Acknowledgement& acknowledgement);

  std::vector<v1::AttemptStatus> Statuses() const;
  // Nothing held and nothing to tell.
  bool empty() const;

 private:
  struct Entry {
    v1::AttemptStatus status;
    bool ended = false;
    // The scheduler does not want to hear of it: forget it at its end.
    bool unwanted = false;
  };

  // Runs `change` on the entry and then, without the lock, on_news.
  void Change(const AttemptKey& key, std::function<void(Entry&)> change,
              bool is_news);

  const std::function<void()> on_news_;

  mutable Mutex mu_;
  absl::btree_map<AttemptKey, Entry> entries_ ABSL_GUARDED_BY(mu_);
  // Per run the token that was begun last; some 100 bytes a run.
  absl::flat_hash_map<std::string, int64_t> last_tokens_ ABSL_GUARDED_BY(mu_);
};

}  // namespace headstart::worker
