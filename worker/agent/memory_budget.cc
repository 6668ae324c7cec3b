#include "worker/agent/memory_budget.h"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"

namespace headstart::worker {
namespace {

constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();

// What programs can have without swapping, as the kernel estimates it.
int64_t AvailableBytes() {
  const absl::StatusOr<std::string> text = ReadFile("/proc/meminfo");
  if (!text.ok()) return kUnknown;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    const std::vector<absl::string_view> parts =
        absl::StrSplit(line, ' ', absl::SkipWhitespace());
    int64_t kibibytes = 0;
    if (parts.size() >= 2 && parts[0] == "MemAvailable:" &&
        absl::SimpleAtoi(parts[1], &kibibytes)) {
      return kibibytes << 10;
    }
  }
  return kUnknown;
}

}  // namespace

MemoryBudget::Share::~Share() {
  if (budget_ == nullptr) return;
  MutexLock lock(&budget_->mu_);
  budget_->taken_bytes_ -= bytes_;
}

int64_t MemoryBudget::MachineBytes() {
  int64_t bytes = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE);
  // Of cgroup v2, as a container sees it; "max" is no number.
  const absl::StatusOr<std::string> limit =
      ReadFile("/sys/fs/cgroup/memory.max");
  int64_t limit_bytes = 0;
  if (limit.ok() && absl::SimpleAtoi(*limit, &limit_bytes)) {
    bytes = std::min(bytes, limit_bytes);
  }
  return bytes;
}

absl::StatusOr<MemoryBudget::Share> MemoryBudget::Take(
    int64_t bytes, const std::string& what) {
  const int64_t available_bytes = AvailableBytes();
  MutexLock lock(&mu_);
  if (bytes > bytes_ - taken_bytes_ || bytes > available_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        what, " of ", bytes, " bytes do not fit: of the ", bytes_,
        " bytes of memory here the slots share ", taken_bytes_,
        " with their trainers",
        available_bytes == kUnknown
            ? ""
            : absl::StrCat(", and ", available_bytes, " are available"),
        ". Give the worker fewer slots or --slabs, or choose a smaller model"));
  }
  taken_bytes_ += bytes;
  Share share;
  share.budget_ = this;
  share.bytes_ = bytes;
  return share;
}

}  // namespace headstart::worker
