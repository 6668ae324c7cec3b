#include "scheduler/core/work_queue.h"

namespace headstart::scheduler {

void WorkQueue::Set(const Owner& owner, const std::string& dataset,
                    int64_t live) {
  Remove(owner);
  places_[owner] = {dataset, live};
  by_dataset_[dataset].insert({live, owner});
}

void WorkQueue::Remove(const Owner& owner) {
  const auto place = places_.find(owner);
  if (place == places_.end()) return;
  const auto owners = by_dataset_.find(place->second.dataset);
  owners->second.erase({place->second.live, owner});
  if (owners->second.empty()) by_dataset_.erase(owners);
  places_.erase(place);
}

std::optional<Owner> WorkQueue::Next(
    const std::vector<std::string>& datasets) const {
  std::optional<Key> next;
  for (const std::string& dataset : datasets) {
    const auto owners = by_dataset_.find(dataset);
    if (owners == by_dataset_.end()) continue;
    const Key& first = *owners->second.begin();
    if (!next.has_value() || first < *next) next = first;
  }
  if (!next.has_value()) return std::nullopt;
  return next->owner;
}

}  // namespace headstart::scheduler
