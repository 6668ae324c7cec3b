#include "scheduler/core/work_queue.h"

#include "absl/algorithm/container.h"

namespace headstart::scheduler {

void WorkQueue::Set(const Owner& owner, const std::vector<std::string>& needs,
                    int64_t live) {
  Remove(owner);
  places_[owner] = {needs, live};
  by_needs_[needs].insert({live, owner});
}

void WorkQueue::Remove(const Owner& owner) {
  const auto place = places_.find(owner);
  if (place == places_.end()) return;
  const auto owners = by_needs_.find(place->second.needs);
  owners->second.erase({place->second.live, owner});
  if (owners->second.empty()) by_needs_.erase(owners);
  places_.erase(place);
}

std::optional<Owner> WorkQueue::Next(
    const absl::btree_set<std::string>& offers) const {
  std::optional<Key> next;
  for (const auto& [needs, owners] : by_needs_) {
    const Key& first = *owners.begin();
    if (next.has_value() && !(first < *next)) continue;
    if (absl::c_all_of(needs, [&offers](const std::string& need) {
          return offers.contains(need);
        })) {
      next = first;
    }
  }
  if (!next.has_value()) return std::nullopt;
  return next->owner;
}

}  // namespace headstart::scheduler
