// An agent and all it speaks to, for tests.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/net/telemetry.h"
#include "headstart/v1/worker_service.pb.h"
#include "worker/agent/agent.h"
#include "worker/agent/fake_scheduler.h"
#include "worker/agent/fake_storage.h"
#include "worker/agent/stub_trainer.h"
#include "worker/trainer_protocol/unique_fd.h"

namespace headstart::worker {

inline constexpr char kRun[] = "studies/1/trials/1";

// The test program's own path: with --socket-fd it is the stub trainer.
std::string ThisProgram();

v1::Assignment MakeAssignment(int64_t attempt, int64_t from_epoch,
                              int64_t until_epoch);

// An agent of two slots between a scheduler, a storage server and trainers,
// each of which does what the test says.
class AgentWorld {
 protected:
  // Everything lies in `folder`, which is new and empty.
  explicit AgentWorld(const std::string& folder);

  AgentOptions Options();
  void StartAgent(AgentOptions options);
  void StartAgent() { StartAgent(Options()); }

  // What an undisturbed run of kRun of so many epochs stores: checkpoint name
  // to manifest digest. Trains one, under another name.
  std::map<std::string, std::string> ExpectedDigests(int64_t epochs);
  // What storage has, but for that other run.
  std::map<std::string, std::string> Digests();

  // The value of a series as /metrics prints it, such as
  // headstart_worker_attempts_total{state="failed"}; empty: there is none.
  std::string Metric(const std::string& series) const;

  // Lets a stub trainer that does `wait` go on.
  void OpenGate();

  const std::string folder_;
  UniqueFd gate_;
  Telemetry telemetry_;
  StopEvent ended_;  // The agent has ended by itself.
  std::unique_ptr<FakeStorage> storage_;
  std::unique_ptr<FakeScheduler> scheduler_;
  std::unique_ptr<Agent> agent_;
};

}  // namespace headstart::worker
