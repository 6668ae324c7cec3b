// Storage as the scheduler relies on it: commits fenced by tokens, references
// that decide what lives. It collects at once, without a grace period, so that
// whatever the scheduler forgets to keep is missed.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "scheduler/core/scheduler.h"

namespace headstart::simulation {

class FakeStorage {
 public:
  // Whether the epoch is stored under this digest now. Refused for a token
  // older than the newest seen of the run, and for another digest of an epoch
  // that the scheduler has acknowledged.
  bool Commit(const std::string& run, int64_t epoch, const std::string& digest,
              int64_t token);

  // The newest generation of an owner wins. What lost its last reference goes.
  void SetReferences(const scheduler::WantedReferences& wanted);

  bool Has(const std::string& checkpoint) const;
  // What a run resumes from: weights and the resume manifest.
  bool CanResume(const std::string& run, int64_t epoch) const;

 private:
  struct StoredEpoch {
    std::string digest;
    bool weights = true;
    bool resume = true;
  };
  struct StoredRun {
    std::map<int64_t, StoredEpoch> epochs;
    int64_t token = 0;
    int64_t known_epoch = -1;
    bool ended = false;
  };
  struct OwnerSet {
    int64_t generation = 0;
    std::set<std::string> names;
  };

  bool IsReferenced(const std::string& name) const;
  void Collect(const std::string& run_name, StoredRun& run);

  std::map<std::string, StoredRun> runs_;
  std::map<std::string, OwnerSet> owners_;
};

}  // namespace headstart::simulation
