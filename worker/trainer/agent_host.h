// The agent at the other end of a socket.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "worker/trainer/host.h"
#include "worker/trainer_protocol/frame.h"
#include "worker/trainer_protocol/unique_fd.h"

namespace headstart::worker {

// Speaks the trainer protocol over an inherited socket.
//
// A thread of its own reads the socket, so that a stop is seen within a batch
// at no cost to the loop, and so that the process ends at once, whatever it is
// doing, when the agent is gone or says what cannot be understood.
class AgentHost final : public Host {
 public:
  explicit AgentHost(UniqueFd socket);
  ~AgentHost() override;

  absl::StatusOr<std::optional<Assignment>> Next() override;
  absl::Status Begin(const Started& started) override;
  std::optional<int64_t> AcquireSlab() override;
  Slab& slab(int64_t number) override;
  std::optional<StopMode> stop() const override;
  absl::Status Send(const TrainerMessage& message) override;

 private:
  // The reader's.
  void ReadMessages();
  absl::Status Handle(Frame frame);
  absl::Status Take(Assign assign, std::vector<UniqueFd> descriptors);
  absl::Status Take(const Slabs& slabs, std::vector<UniqueFd> descriptors);
  absl::Status Take(const SlabFree& free);

  FrameSocket socket_;
  std::atomic<bool> closing_ = false;
  std::atomic<bool> stop_now_ = false;
  std::atomic<bool> stop_after_epoch_ = false;

  Mutex mu_;
  std::optional<Assignment> assignment_ ABSL_GUARDED_BY(mu_);
  bool exit_ ABSL_GUARDED_BY(mu_) = false;
  // Grows once, by the `slabs` of an assignment, and empties in Next; the
  // loop's thread may use what is in it without the lock.
  std::vector<Slab> slabs_ ABSL_GUARDED_BY(mu_);
  std::deque<int64_t> free_ ABSL_GUARDED_BY(mu_);

  std::thread reader_;
};

}  // namespace headstart::worker
