// A scheduler core, agents, storage, people and a bad network, from one seed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/random_stream.h"
#include "scheduler/core/scheduler.h"
#include "tests/simulation/fake_agent.h"
#include "tests/simulation/fake_storage.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/timeline.h"

namespace headstart::simulation {

// What happens in a world is a function of its seed. Ten minutes of trouble are
// followed by calm: no faults, every worker at work, every study resumed. Then
// everything must end.
class World {
 public:
  explicit World(uint64_t seed);

  // Runs to the end; the promises that were broken.
  std::vector<std::string> Run();

  const std::vector<Event>& journal() const { return journal_; }

 private:
  // --- The scheduler's process ----------------------------------------------

  // One command with its journal write and, at times, a crash in the middle of
  // it: then some of its events are durable, and nobody hears an answer.
  absl::StatusOr<scheduler::Outcome> Execute(const scheduler::Command& command);
  void Append(const Event& event);
  void Restart();
  // What the service does by the clock: leases, workers that are gone.
  void MeasureLeases();
  // What the service tells storage, again and again, and what storage answers.
  void StateReferences();

  // --- The network
  // ------------------------------------------------------------

  void Deliver(FakeAgent& agent, const v1::SynchronizeRequest& request);
  // Lets `event` happen later; or not at all; or twice.
  void Transmit(std::function<void()> event);

  // --- People, machines, time
  // -------------------------------------------------

  void CreateStudies();
  void ActAsAPerson();
  void TroubleAgents();
  void CalmDown();
  bool IsOver() const;
  void CheckTheEnd();

  int64_t Draw(int64_t n) { return random_.UniformInt(n); }
  bool Chance(double chance) { return random_.Uniform() < chance; }
  void Violation(const std::string& what);
  // Calls `action` every `period`, for ever.
  void Every(absl::Duration period, std::function<void()> action);

  RandomStream random_;
  Faults faults_;
  Timeline timeline_;
  Oracle oracle_;
  FakeStorage storage_;
  std::vector<std::unique_ptr<FakeAgent>> agents_;

  scheduler::Scheduler scheduler_;
  std::vector<Event> journal_;
  std::map<std::pair<std::string, int64_t>, absl::Time> leases_;
  std::map<std::string, absl::Time> last_calls_;
  std::map<std::string, int64_t> told_;  // Owner to the generation it has.
  int64_t study_count_ = 0;
  bool calm_ = false;
  std::vector<std::string> violations_;
};

}  // namespace headstart::simulation
