// An agent with slots and trainers that do what real ones would, in simulated
// time, over a network that loses, doubles and delays.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "base/random_stream.h"
#include "headstart/v1/worker_service.pb.h"
#include "tests/simulation/fake_storage.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/timeline.h"

namespace headstart::simulation {

// The loss after an epoch: a pure function of the run's seed, so that every
// attempt at an epoch reports the same, and of nothing else. Coarse: there are
// ties.
double LossOf(int64_t seed, int64_t epoch, const Faults& faults);

class FakeAgent {
 public:
  // Sends a message up; the world answers with Receive, or never.
  using Send = std::function<void(const v1::SynchronizeRequest&)>;
  // Says that a live attempt was given something it needs and storage lacks.
  using Missing =
      std::function<void(const v1::Assignment&, const std::string& checkpoint)>;

  FakeAgent(std::string name, int64_t slots, Timeline& timeline,
            FakeStorage& storage, const Faults& faults, RandomStream random,
            Send send, Missing missing);

  // Calls at once and then every few seconds, until it dies.
  void Start();
  // Everything it held is gone. Start makes it a new incarnation.
  void Die();
  bool alive() const { return alive_; }
  const std::string& name() const { return name_; }

  // Asks to be left alone: hands back what it has.
  void Leave() { leaving_ = true; }

  void Receive(const v1::SynchronizeResponse& response, int64_t incarnation);

 private:
  // What the agent holds of an attempt, trained or not yet acknowledged.
  struct Held {
    v1::Assignment work;
    std::string slot;
    v1::AttemptStatus status;
    int64_t next_epoch = 0;
    std::optional<v1::EpochReport> acknowledged;  // The last one.
    bool release = false;
    bool over() const {
      return status.state() != v1::Attempt::RUNNING &&
             status.state() != v1::Attempt::LEASED;
    }
  };
  using Key = std::pair<std::string, int64_t>;  // Run, attempt.

  void Call();
  void Begin(const std::string& slot, const v1::Assignment& work);
  void TrainNextEpoch(const Key& key, int64_t incarnation);
  void Fail(Held& held, v1::Failure::Reason reason);
  std::string DigestOf(const std::string& run, int64_t epoch) const;

  const std::string name_;
  const int64_t slots_;
  Timeline& timeline_;
  FakeStorage& storage_;
  const Faults& faults_;
  RandomStream random_;
  const Send send_;
  const Missing missing_;

  bool alive_ = false;
  bool leaving_ = false;
  int64_t incarnation_ = 0;
  int64_t seen_version_ = 0;
  std::map<Key, Held> held_;
};

}  // namespace headstart::simulation
