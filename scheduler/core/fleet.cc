#include "scheduler/core/fleet.h"

#include "absl/algorithm/container.h"

#include "base/check.h"
#include "scheduler/search/plugin_spec.h"

namespace headstart::scheduler {

v1::Worker::State Worker::state() const {
  if (gone) return v1::Worker::GONE;
  if (releasing()) return v1::Worker::DRAINING;
  return cordoned ? v1::Worker::CORDONED : v1::Worker::READY;
}

bool Worker::Offers(const std::vector<std::string>& needs) const {
  return absl::c_all_of(
      needs, [this](const std::string& need) { return offers.contains(need); });
}

void Fleet::Apply(const internal::v1::WorkerSeen& event, int64_t version) {
  Worker& worker = workers_[event.worker()];
  worker.name = event.worker();
  if (worker.incarnation != event.incarnation()) {
    worker.incarnation = event.incarnation();
    worker.gone = false;
    worker.leaving = false;
  }
  worker.slots.assign(event.slots().begin(), event.slots().end());
  worker.datasets.assign(event.datasets().begin(), event.datasets().end());
  worker.plugins.assign(event.plugins().begin(), event.plugins().end());
  worker.refused_plugins.assign(event.refused_plugins().begin(),
                                event.refused_plugins().end());
  worker.offers.clear();
  worker.offers.insert(worker.datasets.begin(), worker.datasets.end());
  for (const v1::PluginDescription& plugin : worker.plugins) {
    worker.offers.insert(PluginNeed(plugin));
  }
  Refresh(worker, version);
}

void Fleet::Apply(const internal::v1::WorkerStateChanged& event,
                  int64_t version) {
  const auto found = workers_.find(event.worker());
  HS_CHECK(found != workers_.end()) << event.worker();
  Worker& worker = found->second;
  worker.cordoned = event.cordoned();
  worker.draining = event.draining();
  worker.gone = event.gone();
  worker.leaving = event.leaving();
  Refresh(worker, version);
}

void Fleet::Occupy(const std::string& worker, const std::string& slot,
                   const RunName& run, int64_t version) {
  const auto found = workers_.find(worker);
  HS_CHECK(found != workers_.end()) << worker;
  HS_CHECK(found->second.busy.emplace(slot, run).second)
      << worker << " " << slot << " is taken";
  Refresh(found->second, version);
}

void Fleet::Vacate(const std::string& worker, const std::string& slot,
                   int64_t version) {
  const auto found = workers_.find(worker);
  HS_CHECK(found != workers_.end()) << worker;
  HS_CHECK_EQ(found->second.busy.erase(slot), 1u);
  Refresh(found->second, version);
}

void Fleet::Touch(const std::string& worker, int64_t version) {
  const auto found = workers_.find(worker);
  HS_CHECK(found != workers_.end()) << worker;
  Refresh(found->second, version);
}

const Worker* Fleet::Find(absl::string_view name) const {
  const auto found = workers_.find(name);
  return found == workers_.end() ? nullptr : &found->second;
}

std::vector<std::string> Fleet::ChangedSince(int64_t version) const {
  std::vector<std::string> names;
  for (auto it = by_version_.lower_bound({version + 1, ""});
       it != by_version_.end(); ++it) {
    names.push_back(it->second);
  }
  return names;
}

void Fleet::Refresh(Worker& worker, int64_t version) {
  by_version_.erase({worker.version, worker.name});
  worker.version = version;
  by_version_.insert({version, worker.name});

  auto slot = free_slots_.lower_bound({worker.name, ""});
  while (slot != free_slots_.end() && slot->first == worker.name) {
    slot = free_slots_.erase(slot);
  }
  if (worker.state() != v1::Worker::READY) return;
  for (const v1::Slot& free : worker.slots) {
    if (!worker.busy.contains(free.name())) {
      free_slots_.insert({worker.name, free.name()});
    }
  }
}

}  // namespace headstart::scheduler
