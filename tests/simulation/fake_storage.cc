#include "tests/simulation/fake_storage.h"

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/names.h"

namespace headstart::simulation {
namespace {

std::string NameOf(const std::string& run, int64_t epoch) {
  return absl::StrCat(run, "/epochs/", epoch);
}

}  // namespace

bool FakeStorage::Commit(const std::string& run_name, int64_t epoch,
                         const std::string& digest, int64_t token) {
  StoredRun& run = runs_[run_name];
  if (token < run.token || run.ended) {
    HS_REACHED("commit_with_an_old_token");
    return false;
  }
  run.token = token;
  const auto stored = run.epochs.find(epoch);
  if (stored != run.epochs.end() && stored->second.digest != digest) {
    if (epoch <= run.known_epoch) return false;
    HS_REACHED("commit_replaced");
  }
  run.epochs[epoch] = {.digest = digest};
  return true;
}

void FakeStorage::SetReferences(const scheduler::WantedReferences& wanted) {
  OwnerSet& owner = owners_[wanted.owner];
  if (wanted.generation < owner.generation) {
    HS_REACHED("references_of_an_older_generation");
    return;
  }
  owner.generation = wanted.generation;
  owner.names.clear();
  for (const v1::Reference& reference : wanted.references) {
    owner.names.insert(reference.checkpoint());
  }
  for (const v1::RunHorizon& horizon : wanted.horizons) {
    StoredRun& run = runs_[horizon.run()];
    run.known_epoch = horizon.known_epoch();
    run.token = std::max(run.token, horizon.token());
    run.ended = horizon.ended();
  }
  for (auto& [name, run] : runs_) Collect(name, run);
}

bool FakeStorage::Has(const std::string& checkpoint) const {
  const CheckpointName name = *CheckpointName::Parse(checkpoint);
  const auto run = runs_.find(name.run.ToString());
  if (run == runs_.end()) return false;
  const auto epoch = run->second.epochs.find(name.epoch);
  return epoch != run->second.epochs.end() && epoch->second.weights;
}

bool FakeStorage::CanResume(const std::string& run_name, int64_t epoch) const {
  const auto run = runs_.find(run_name);
  if (run == runs_.end()) return false;
  const auto stored = run->second.epochs.find(epoch);
  return stored != run->second.epochs.end() && stored->second.weights &&
         stored->second.resume;
}

bool FakeStorage::IsReferenced(const std::string& name) const {
  for (const auto& [owner, set] : owners_) {
    if (set.names.contains(name)) return true;
  }
  return false;
}

void FakeStorage::Collect(const std::string& run_name, StoredRun& run) {
  for (auto it = run.epochs.begin(); it != run.epochs.end();) {
    auto& [epoch, stored] = *it;
    // A commit that the scheduler has not heard of is safe.
    if (epoch > run.known_epoch && !run.ended) {
      ++it;
      continue;
    }
    const std::string name = NameOf(run_name, epoch);
    stored.weights = stored.weights && IsReferenced(name);
    stored.resume = stored.resume && IsReferenced(name + "/resume");
    it = stored.weights || stored.resume ? std::next(it) : run.epochs.erase(it);
  }
}

}  // namespace headstart::simulation
