// How long to wait before the next try of something that is not there now.
#pragma once

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "base/random_stream.h"

namespace headstart::worker {

// Doubles from `first` to `most`; each wait is drawn from the upper half, so
// that agents which lost the same server do not return in step.
class Backoff final {
 public:
  Backoff(absl::Duration first, absl::Duration most, RandomStream jitter)
      : first_(first), most_(most), next_(first), jitter_(std::move(jitter)) {}

  absl::Duration Next() {
    const absl::Duration wait = next_ * (0.5 + 0.5 * jitter_.Uniform());
    next_ = std::min(next_ * 2, most_);
    return wait;
  }

  // It is there again.
  void Reset() { next_ = first_; }

 private:
  const absl::Duration first_;
  const absl::Duration most_;
  absl::Duration next_;
  RandomStream jitter_;
};

}  // namespace headstart::worker
