#include "worker/agent/slab_pool.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace headstart::worker {

absl::Status SlabPool::Prepare(int64_t bytes) {
  for (const Entry& entry : entries_) HS_CHECK(!entry.agents);
  if (!entries_.empty() && entries_[0].slab.bytes() >= bytes) {
    return absl::OkStatus();
  }
  entries_.clear();  // Give their memory back first.
  share_ = MemoryBudget::Share();
  const std::string what =
      absl::StrCat(slab_count_, " slabs of ", bytes, " bytes, in all");
  int64_t all_bytes = 0;
  if (__builtin_mul_overflow(bytes, slab_count_, &all_bytes)) {
    return absl::ResourceExhaustedError(what + " more than memory can be");
  }
  HS_ASSIGN_OR_RETURN(share_, memory_.Take(all_bytes, what));
  std::vector<Entry> entries(slab_count_);
  for (Entry& entry : entries) {
    HS_ASSIGN_OR_RETURN(entry.slab, Slab::Create(bytes));
  }
  entries_ = std::move(entries);
  return absl::OkStatus();
}

absl::Status SlabPool::Take(int64_t slab) {
  if (slab < 0 || slab >= static_cast<int64_t>(entries_.size())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there is no slab ", slab, "; there are ", entries_.size()));
  }
  if (entries_[slab].agents) {
    return absl::InvalidArgumentError(
        absl::StrCat("slab ", slab, " was not free"));
  }
  entries_[slab].agents = true;
  return absl::OkStatus();
}

void SlabPool::Give(int64_t slab) {
  HS_CHECK(entries_[slab].agents) << "slab " << slab;
  entries_[slab].agents = false;
}

bool SlabPool::all_taken() const {
  return std::all_of(entries_.begin(), entries_.end(),
                     [](const Entry& entry) { return entry.agents; });
}

std::vector<int> SlabPool::descriptors() const {
  std::vector<int> descriptors;
  for (const Entry& entry : entries_) {
    descriptors.push_back(entry.slab.descriptor());
  }
  return descriptors;
}

}  // namespace headstart::worker
