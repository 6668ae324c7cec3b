// Simulated time: what happens when, in an order that a seed fixes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "absl/time/time.h"

namespace headstart::simulation {

// Events at instants; those of one instant in the order in which they were set.
class Timeline {
 public:
  absl::Time now() const { return now_; }

  void After(absl::Duration delay, std::function<void()> event) {
    events_.emplace(std::pair(now_ + delay, next_++), std::move(event));
  }

  // Lets the next event happen; false when there is none.
  bool Step() {
    if (events_.empty()) return false;
    auto first = events_.extract(events_.begin());
    now_ = first.key().first;
    first.mapped()();
    return true;
  }

 private:
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  int64_t next_ = 0;
  std::map<std::pair<absl::Time, int64_t>, std::function<void()>> events_;
};

}  // namespace headstart::simulation
