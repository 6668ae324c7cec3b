// A set of ranks that also knows places, for rungs.
#pragma once

#include <cstdint>
#include <functional>

#include <ext/pb_ds/assoc_container.hpp>
#include <ext/pb_ds/tree_policy.hpp>

#include "base/check.h"
#include "scheduler/search/rank.h"

namespace headstart::scheduler {

// Ranks in order, with places counted from 1 for the best. Every operation
// takes O(log n).
class RankedSet {
 public:
  void Insert(const Rank& rank) { tree_.insert(rank); }
  void Erase(const Rank& rank) { tree_.erase(rank); }

  bool empty() const { return tree_.empty(); }
  int64_t size() const { return static_cast<int64_t>(tree_.size()); }
  bool Contains(const Rank& rank) const {
    return tree_.find(rank) != tree_.end();
  }

  // How many are better than `rank`, which need not be in the set.
  int64_t CountBetter(const Rank& rank) const {
    return static_cast<int64_t>(tree_.order_of_key(rank));
  }
  // The place that `rank` has, or would have.
  int64_t PlaceOf(const Rank& rank) const { return CountBetter(rank) + 1; }

  // The rank at a place from 1 to size().
  const Rank& At(int64_t place) const {
    HS_CHECK(place >= 1 && place <= size()) << "place " << place;
    return *tree_.find_by_order(static_cast<size_t>(place - 1));
  }
  const Rank& Best() const { return At(1); }
  const Rank& Worst() const { return At(size()); }

 private:
  __gnu_pbds::tree<Rank, __gnu_pbds::null_type, std::less<Rank>,
                   __gnu_pbds::rb_tree_tag,
                   __gnu_pbds::tree_order_statistics_node_update>
      tree_;
};

}  // namespace headstart::scheduler
