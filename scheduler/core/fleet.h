// The workers, their slots, and which run each slot holds.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/strings/string_view.h"

#include "base/names.h"
#include "headstart/internal/v1/journal.pb.h"
#include "headstart/v1/admin_service.pb.h"
#include "headstart/v1/worker_service.pb.h"

namespace headstart::scheduler {

struct Worker {
  std::string name;
  int64_t incarnation = 0;
  std::vector<v1::Slot> slots;
  std::vector<std::string> datasets;
  std::vector<v1::PluginDescription> plugins;
  std::vector<v1::RefusedPlugin> refused_plugins;
  // Data sets and plug-ins as NeedsOf names them.
  absl::btree_set<std::string> offers;
  bool cordoned = false;
  bool draining = false;
  bool gone = false;
  bool leaving = false;
  // Live attempts by slot. A slot that the worker no longer has stays here
  // until its attempt ends.
  absl::btree_map<std::string, RunName> busy;
  // Event count at the last change of what it should do.
  int64_t version = 0;

  v1::Worker::State state() const;
  // Whether it has all of `needs`.
  bool Offers(const std::vector<std::string>& needs) const;
  // What it holds is to be handed back after its epoch.
  bool releasing() const { return draining || leaving; }
};

// All workers that were ever seen, and the free slots of those that are READY.
//
// `version` below is the event count, which orders the changes.
class Fleet {
 public:
  using Slot = std::pair<std::string, std::string>;  // Worker, slot name.

  void Apply(const internal::v1::WorkerSeen& event, int64_t version);
  void Apply(const internal::v1::WorkerStateChanged& event, int64_t version);
  // A live attempt takes the slot, or leaves it.
  void Occupy(const std::string& worker, const std::string& slot,
              const RunName& run, int64_t version);
  void Vacate(const std::string& worker, const std::string& slot,
              int64_t version);
  // What the worker should do has changed in another way.
  void Touch(const std::string& worker, int64_t version);

  // Null when it was never seen.
  const Worker* Find(absl::string_view name) const;
  const absl::btree_map<std::string, Worker>& workers() const {
    return workers_;
  }
  // Ascending.
  const absl::btree_set<Slot>& free_slots() const { return free_slots_; }
  std::vector<std::string> ChangedSince(int64_t version) const;

 private:
  // After any change of a worker: its free slots and its place by version.
  void Refresh(Worker& worker, int64_t version);

  absl::btree_map<std::string, Worker> workers_;
  absl::btree_set<Slot> free_slots_;
  absl::btree_set<std::pair<int64_t, std::string>> by_version_;
};

}  // namespace headstart::scheduler
