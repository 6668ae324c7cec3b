// Which owners have something to train, in the order in which they are served.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"

#include "scheduler/core/owner.h"

namespace headstart::scheduler {

// Owners with work, by the data set that a worker needs for it. Among those
// that a slot could serve, the one with the fewest live attempts is next; then
// trainings before studies; then the older.
class WorkQueue {
 public:
  // `owner` has work for workers with `dataset`, and holds `live` slots.
  void Set(const Owner& owner, const std::string& dataset, int64_t live);
  void Remove(const Owner& owner);

  bool empty() const { return places_.empty(); }
  bool Contains(const Owner& owner) const { return places_.contains(owner); }
  // The owner that a slot with these data sets should serve.
  std::optional<Owner> Next(const std::vector<std::string>& datasets) const;

 private:
  struct Key {
    int64_t live = 0;
    Owner owner;
    auto operator<=>(const Key&) const = default;
  };
  struct Place {
    std::string dataset;
    int64_t live = 0;
  };

  absl::btree_map<std::string, absl::btree_set<Key>> by_dataset_;
  absl::btree_map<Owner, Place> places_;
};

}  // namespace headstart::scheduler
