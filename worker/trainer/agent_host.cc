#include "worker/trainer/agent_host.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace headstart::worker {

AgentHost::AgentHost(UniqueFd socket)
    : socket_(std::move(socket)), reader_([this] { ReadMessages(); }) {}

AgentHost::~AgentHost() {
  closing_ = true;
  shutdown(socket_.descriptor(), SHUT_RD);  // Wakes the reader.
  reader_.join();
}

absl::StatusOr<std::optional<Assignment>> AgentHost::Next() {
  MutexLock lock(&mu_);
  free_.clear();
  slabs_.clear();
  mu_.Await([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return assignment_.has_value() || exit_;
  });
  if (!assignment_.has_value()) return std::nullopt;
  return std::exchange(assignment_, std::nullopt);
}

absl::Status AgentHost::Begin(const Started& started) {
  HS_RETURN_IF_ERROR(Send(started));
  MutexLock lock(&mu_);
  mu_.Await([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !slabs_.empty() || stop_now_;
  });
  for (const Slab& slab : slabs_) {
    if (slab.bytes() < started.slab_bytes) {
      return absl::InternalError(
          absl::StrCat("a slab came with ", slab.bytes(), " bytes where ",
                       started.slab_bytes, " are needed."));
    }
  }
  return absl::OkStatus();
}

std::optional<int64_t> AgentHost::AcquireSlab() {
  MutexLock lock(&mu_);
  mu_.Await([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !free_.empty() || stop_now_;
  });
  if (stop_now_) return std::nullopt;
  const int64_t slab = free_.front();
  free_.pop_front();
  return slab;
}

Slab& AgentHost::slab(int64_t number) {
  MutexLock lock(&mu_);
  return slabs_[number];
}

std::optional<StopMode> AgentHost::stop() const {
  if (stop_now_.load(std::memory_order_relaxed)) return StopMode::kNow;
  if (stop_after_epoch_.load(std::memory_order_relaxed)) {
    return StopMode::kAfterEpoch;
  }
  return std::nullopt;
}

absl::Status AgentHost::Send(const TrainerMessage& message) {
  return socket_.Send(ToJson(message));
}

void AgentHost::ReadMessages() {
  while (true) {
    absl::StatusOr<std::optional<Frame>> frame = socket_.Receive();
    if (closing_) return;
    absl::Status status = frame.status();
    if (status.ok() && !frame->has_value()) {
      status = absl::UnavailableError("the agent closed the socket.");
    }
    if (status.ok()) status = Handle(*std::move(*frame));
    if (!status.ok()) {
      // Nobody waits for this process any more, and what it is computing may
      // take minutes: no use in a clean end.
      HS_LOG(kError, "trainer ends reason=\"{}\"", status.message());
      std::_Exit(1);
    }
  }
}

absl::Status AgentHost::Handle(Frame frame) {
  HS_ASSIGN_OR_RETURN(AgentMessage message, ParseAgentMessage(frame.line));
  if (auto* assign = std::get_if<Assign>(&message)) {
    return Take(std::move(*assign), std::move(frame.descriptors));
  }
  if (const auto* slabs = std::get_if<Slabs>(&message)) {
    return Take(*slabs, std::move(frame.descriptors));
  }
  if (const auto* free = std::get_if<SlabFree>(&message)) return Take(*free);
  MutexLock lock(&mu_);
  if (const auto* stop = std::get_if<Stop>(&message)) {
    (stop->mode == StopMode::kNow ? stop_now_ : stop_after_epoch_) = true;
  } else {
    exit_ = true;
  }
  return absl::OkStatus();
}

absl::Status AgentHost::Take(Assign assign, std::vector<UniqueFd> descriptors) {
  if (descriptors.size() != assign.sources.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "assign: there are ", assign.sources.size(), " sources but ",
        descriptors.size(), " descriptors came."));
  }
  Assignment assignment;
  for (size_t i = 0; i < descriptors.size(); ++i) {
    HS_ASSIGN_OR_RETURN(
        Slab memory, Slab::Map(std::move(descriptors[i]),
                               assign.sources[i].bytes, Slab::Access::kRead));
    assignment.source_memory.push_back(std::move(memory));
  }
  assignment.assign = std::move(assign);
  MutexLock lock(&mu_);
  // A stop that came before was meant for what was done before.
  stop_now_ = false;
  stop_after_epoch_ = false;
  assignment_ = std::move(assignment);
  return absl::OkStatus();
}

absl::Status AgentHost::Take(const Slabs& slabs,
                             std::vector<UniqueFd> descriptors) {
  std::vector<Slab> mapped;
  for (UniqueFd& descriptor : descriptors) {
    HS_ASSIGN_OR_RETURN(Slab slab, Slab::Map(std::move(descriptor), slabs.bytes,
                                             Slab::Access::kReadWrite));
    mapped.push_back(std::move(slab));
  }
  MutexLock lock(&mu_);
  if (mapped.empty() || !slabs_.empty()) {
    return absl::InvalidArgumentError(
        "slabs: must come once per assignment, with one descriptor or more.");
  }
  slabs_ = std::move(mapped);
  for (size_t i = 0; i < slabs_.size(); ++i) free_.push_back(i);
  return absl::OkStatus();
}

absl::Status AgentHost::Take(const SlabFree& free) {
  MutexLock lock(&mu_);
  // One that was given back after the assignment ended is gone already.
  if (slabs_.empty()) return absl::OkStatus();
  if (free.slab < 0 || free.slab >= static_cast<int64_t>(slabs_.size()) ||
      std::find(free_.begin(), free_.end(), free.slab) != free_.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "slab_free: slab ", free.slab, " is not one that the agent holds."));
  }
  free_.push_back(free.slab);
  return absl::OkStatus();
}

}  // namespace headstart::worker
