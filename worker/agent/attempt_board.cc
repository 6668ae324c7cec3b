#include "worker/agent/attempt_board.h"

#include <utility>

#include "base/check.h"

namespace headstart::worker {

AttemptBoard::AttemptBoard(std::function<void()> on_news)
    : on_news_(std::move(on_news)) {}

bool AttemptBoard::Begin(const AttemptKey& key) {
  MutexLock lock(&mu_);
  auto [last, is_new] = last_tokens_.emplace(key.run, key.token);
  if (!is_new) {
    if (key.token <= last->second) return false;
    last->second = key.token;
  }
  v1::AttemptStatus& status = entries_[key].status;
  status.set_run(key.run);
  status.set_attempt(key.attempt);
  status.set_token(key.token);
  status.set_state(v1::Attempt::LEASED);
  return true;
}

void AttemptBoard::SetRunning(const AttemptKey& key,
                              const v1::EffectiveValues& effective) {
  Change(
      key,
      [&](Entry& entry) {
        entry.status.set_state(v1::Attempt::RUNNING);
        *entry.status.mutable_effective() = effective;
        entry.status.clear_activity();
      },
      /*is_news=*/true);
}

void AttemptBoard::SetProgress(const AttemptKey& key, int64_t epoch,
                               double progress) {
  Change(
      key,
      [&](Entry& entry) {
        entry.status.set_current_epoch(epoch);
        entry.status.set_epoch_progress(progress);
      },
      /*is_news=*/false);
}

void AttemptBoard::SetActivity(const AttemptKey& key,
                               const std::string& activity) {
  bool is_first = false;
  Change(
      key,
      [&](Entry& entry) {
        is_first = entry.status.activity().empty();
        entry.status.set_activity(activity);
      },
      /*is_news=*/false);
  if (is_first) on_news_();
}

void AttemptBoard::SetWaiting(const AttemptKey& key,
                              const std::string& waiting_for) {
  Change(
      key, [&](Entry& entry) { entry.status.set_waiting_for(waiting_for); },
      /*is_news=*/true);
}

void AttemptBoard::AddReport(const AttemptKey& key, v1::EpochReport report) {
  Change(
      key,
      [&](Entry& entry) {
        const auto& reports = entry.status.reports();
        HS_CHECK(reports.empty() ||
                 reports[reports.size() - 1].epoch() < report.epoch());
        if (!entry.unwanted) {
          *entry.status.add_reports() = std::move(report);
        }
      },
      /*is_news=*/true);
}

void AttemptBoard::End(const AttemptKey& key, v1::Attempt::State state,
                       const v1::Failure& failure) {
  Change(
      key,
      [&](Entry& entry) {
        entry.ended = true;
        entry.status.set_state(state);
        if (state == v1::Attempt::FAILED) {
          *entry.status.mutable_failure() = failure;
        }
      },
      /*is_news=*/true);
}

void AttemptBoard::Change(const AttemptKey& key,
                          std::function<void(Entry&)> change, bool is_news) {
  {
    MutexLock lock(&mu_);
    auto entry = entries_.find(key);
    HS_CHECK(entry != entries_.end() && !entry->second.ended)
        << key.run << " attempt " << key.attempt;
    change(entry->second);
    if (entry->second.ended && entry->second.unwanted) entries_.erase(entry);
  }
  if (is_news) on_news_();
}

void AttemptBoard::Acknowledge(const v1::Acknowledgement& acknowledgement) {
  MutexLock lock(&mu_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    auto& [key, entry] = *it;
    if (key.run != acknowledgement.run() ||
        key.attempt != acknowledgement.attempt()) {
      ++it;
      continue;
    }
    auto& reports = *entry.status.mutable_reports();
    int done = 0;
    while (done < reports.size() &&
           (acknowledgement.ended() ||
            reports[done].epoch() <= acknowledgement.through_epoch())) {
      ++done;
    }
    reports.DeleteSubrange(0, done);
    if (acknowledgement.ended()) entry.unwanted = true;
    if (entry.ended && entry.unwanted) {
      it = entries_.erase(it);
    } else {
      ++it;
    }
  }
}

std::vector<v1::AttemptStatus> AttemptBoard::Statuses() const {
  MutexLock lock(&mu_);
  std::vector<v1::AttemptStatus> statuses;
  for (const auto& [key, entry] : entries_) statuses.push_back(entry.status);
  return statuses;
}

bool AttemptBoard::empty() const {
  MutexLock lock(&mu_);
  return entries_.empty();
}

}  // namespace headstart::worker
