// How much memory the agent shares with its trainers.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/mutex.h"

namespace headstart::worker {

// One budget for the slabs and sources of all slots: each of them alone may fit
// into a machine that has no room for all. Memory that is not there would not
// fail when it is asked for but end some process later.
//
// Any thread may call. Outlives its shares.
class MemoryBudget final {
 public:
  // A part of the budget, given back at its end.
  class Share final {
   public:
    Share() = default;
    Share(Share&& other) noexcept { *this = std::move(other); }
    Share& operator=(Share&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Share();

   private:
    friend class MemoryBudget;

    MemoryBudget* budget_ = nullptr;
    int64_t bytes_ = 0;
  };

  explicit MemoryBudget(int64_t bytes) : bytes_(bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // The memory of this machine, or of the container that this process is in.
  static int64_t MachineBytes();

  // ResourceExhausted, naming `what`, when the budget has less left, or the
  // machine less available.
  absl::StatusOr<Share> Take(int64_t bytes, const std::string& what);

 private:
  const int64_t bytes_;
  Mutex mu_;
  int64_t taken_bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace headstart::worker
