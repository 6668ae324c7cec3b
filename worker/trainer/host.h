// Host: who a trainer works for.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "worker/trainer_protocol/messages.h"
#include "worker/trainer_protocol/slab.h"

namespace headstart::worker {

// An assignment with the memory of its sources, in their order.
struct Assignment {
  Assign assign;
  std::vector<Slab> source_memory;
};

// The agent at the other end of a socket (agent_host.h), or a person who runs
// the trainer alone (file_host.h). One thread calls.
class Host {
 public:
  virtual ~Host() = default;

  // Waits for something to do and drops the slabs of what was done before. None
  // when there is nothing more to do.
  virtual absl::StatusOr<std::optional<Assignment>> Next() = 0;

  // Says that the assignment is ready to train, and waits for its slabs.
  virtual absl::Status Begin(const Started& started) = 0;

  // The number of a slab that may be written to. Waits until one is free; none
  // when the host would not have it any more (StopMode::kNow).
  virtual std::optional<int64_t> AcquireSlab() = 0;
  virtual Slab& slab(int64_t number) = 0;

  // Whether and how the assignment should stop. Costs nothing: it is asked
  // before every batch.
  virtual std::optional<StopMode> stop() const = 0;

  //   Unavailable  nobody listens any more.
  virtual absl::Status Send(const TrainerMessage& message) = 0;
};

}  // namespace headstart::worker
