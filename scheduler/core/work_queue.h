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

// Owners with work, by what a worker must offer for it. Among those
// that a slot could serve, the one with the fewest live attempts is next; then
// trainings before studies; then the older.
class WorkQueue {
 public:
  // `owner` has work for workers that offer all of `needs`, and holds `live`
  // slots.
  void Set(const Owner& owner, const std::vector<std::string>& needs,
           int64_t live);
  void Remove(const Owner& owner);

  bool empty() const { return places_.empty(); }
  bool Contains(const Owner& owner) const { return places_.contains(owner); }
  // The owner that a slot of a worker with these offers should serve.
  std::optional<Owner> Next(const absl::btree_set<std::string>& offers) const;

 private:
  struct Key {
    int64_t live = 0;
    Owner owner;
    auto operator<=>(const Key&) const = default;
  };
  struct Place {
    std::vector<std::string> needs;
    int64_t live = 0;
  };

  // Few: one entry per set of needs, not per owner.
  absl::btree_map<std::vector<std::string>, absl::btree_set<Key>> by_needs_;
  absl::btree_map<Owner, Place> places_;
};

}  // namespace headstart::scheduler
