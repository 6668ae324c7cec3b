#include "worker/agent/slab_pool.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace headstart::worker {

absl::Status SlabPool::Prepare(int64_t bytes) {
  // Memory that is not there would not fail here but end some process later.
  const int64_t memory_bytes =
      int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE);
  if (bytes > memory_bytes / slab_count_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        slab_count_, " slabs of ", bytes, " bytes each do not fit into the ",
        memory_bytes, " bytes of memory of this machine"));
  }
  entries_.resize(slab_count_);
  for (Entry& entry : entries_) {
    HS_CHECK(!entry.agents);
    if (entry.slab.bytes() >= bytes) continue;
    entry.slab = Slab();  // Give its memory back first.
    HS_ASSIGN_OR_RETURN(entry.slab, Slab::Create(bytes));
  }
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
