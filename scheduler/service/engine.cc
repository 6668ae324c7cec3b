#include "scheduler/service/engine.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace headstart::scheduler {
namespace {

// How finely leases, polls and streams are timed.
constexpr absl::Duration kTick = absl::Milliseconds(100);

// Commands that add to what must be kept. Ending, pausing and deleting are
// always possible: they are what makes room.
bool GrowsState(const Command& command) {
  return std::holds_alternative<CreateStudy>(command) ||
         std::holds_alternative<CreateTraining>(command) ||
         std::holds_alternative<ResumeStudy>(command) ||
         std::holds_alternative<RetryTrial>(command) ||
         std::holds_alternative<Synchronize>(command);
}

absl::Status Stopped() {
  return absl::UnavailableError(
      "the scheduler is stopping. Repeat the request when it is back.");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Start(EngineOptions options,
                                                      Journal& journal,
                                                      Clock& clock,
                                                      Telemetry& telemetry) {
  auto engine = std::unique_ptr<Engine>(
      new Engine(std::move(options), journal, clock, telemetry));
  HS_RETURN_IF_ERROR(engine->Replay());
  Engine* const self = engine.get();
  self->engine_thread_ = std::thread([self] { self->Run(); });
  self->tick_thread_ = std::thread([self] {
    while (!self->clock_.WaitFor(kTick, self->stop_ticking_)) {
      MutexLock lock(&self->mu_);
      self->queue_.tick = true;
      self->queued_.Signal();
    }
  });
  return engine;
}

Engine::Engine(EngineOptions options, Journal& journal, Clock& clock,
               Telemetry& telemetry)
    : options_(std::move(options)),
      journal_(journal),
      clock_(clock),
      metrics_(telemetry),
      leases_(options_.lease_duration) {}

Engine::~Engine() { Stop(); }

absl::Status Engine::Replay() {
  const absl::Duration start = clock_.Monotonic();
  HS_RETURN_IF_ERROR(journal_.ReadFrom(1, [this](int64_t, const Event& event) {
    scheduler_.Apply(event);
    return absl::OkStatus();
  }));
  const absl::Duration now = clock_.Monotonic();
  leases_.Restart(scheduler_, now);
  expiries_at_ = now;
  metrics_.Update(scheduler_);
  HS_LOG(kInfo, "journal replayed events={} seconds={:.3f} cluster={}",
         journal_.last_sequence(), absl::ToDoubleSeconds(now - start),
         journal_.cluster_id());
  return absl::OkStatus();
}

// Callers' side.

void Engine::Submit(Command command, LookAfter look, Answer answer) {
  Enqueue({.is_command = true,
           .command = std::move(command),
           .look = std::move(look),
           .answer = std::move(answer)});
}

void Engine::Read(Look look, Answer answer) {
  Enqueue({.look = [look = std::move(look)](
                       const EngineView& view,
                       const Outcome&) mutable { return look(view); },
           .answer = std::move(answer)});
}

void Engine::Enqueue(Request request) {
  absl::Status refusal;
  {
    MutexLock lock(&mu_);
    if (stopped_) {
      refusal = Stopped();
    } else if (static_cast<int64_t>(queue_.requests.size()) >=
               options_.queue_max) {
      refusal = absl::UnavailableError(
          absl::StrCat(options_.queue_max,
                       " requests wait for the scheduler already. Repeat the "
                       "request in a moment."));
    } else {
      queue_.requests.push_back(std::move(request));
      queued_.Signal();
      return;
    }
  }
  if (request.is_command) {
    metrics_.CountCommand(request.command, refusal.code());
  }
  request.answer(refusal);
}

absl::Status Engine::SubmitAndWait(Command command, LookAfter look) {
  Mutex mu;
  std::optional<absl::Status> result;
  Submit(std::move(command), std::move(look), [&](absl::Status status) {
    MutexLock lock(&mu);
    result = std::move(status);
  });
  MutexLock lock(&mu);
  mu.Await([&] { return result.has_value(); });
  return *result;
}

absl::Status Engine::ReadAndWait(Look look) {
  Mutex mu;
  std::optional<absl::Status> result;
  Read(std::move(look), [&](absl::Status status) {
    MutexLock lock(&mu);
    result = std::move(status);
  });
  MutexLock lock(&mu);
  mu.Await([&] { return result.has_value(); });
  return *result;
}

absl::StatusOr<int64_t> Engine::Wait(WaitRequest request) {
  const absl::Duration now = clock_.Monotonic();
  MutexLock lock(&mu_);
  if (stopped_) return Stopped();
  if (open_waits_ >= options_.waits_max) {
    return absl::UnavailableError(
        absl::StrCat(options_.waits_max,
                     " calls wait for news already. Repeat the call later."));
  }
  ++open_waits_;
  queue_.new_waits.emplace_back(
      ++last_wait_, PendingWait{.ask_from = now + request.not_before,
                                .deadline = now + request.timeout,
                                .request = std::move(request)});
  queued_.Signal();
  return last_wait_;
}

void Engine::EndWait(int64_t wait) {
  MutexLock lock(&mu_);
  queue_.ended_waits.push_back(wait);
  queued_.Signal();
}

void Engine::Drain() {
  MutexLock lock(&mu_);
  draining_ = true;
  queued_.Signal();
}

void Engine::Stop() {
  stop_ticking_.Stop();
  if (tick_thread_.joinable()) tick_thread_.join();
  {
    MutexLock lock(&mu_);
    stopped_ = true;
    queued_.Signal();
  }
  if (engine_thread_.joinable()) engine_thread_.join();
}

// The engine's thread.

void Engine::Run() {
  // What follows from a state that an earlier release left behind.
  Request advance{.is_command = true,
                  .command = Advance{},
                  .look = [](const EngineView&,
                             const Outcome&) { return absl::OkStatus(); },
                  .answer = [](absl::Status) {}};
  Group first;
  first.requests.push_back(std::move(advance));
  ServeGroup(std::move(first));

  for (bool last = false; !last;) {
    Group group = TakeQueued();
    last = group.last;
    ServeGroup(std::move(group));
  }
}

Engine::Group Engine::TakeQueued() {
  MutexLock lock(&mu_);
  while (!stopped_ && queue_.requests.empty() && queue_.new_waits.empty() &&
         queue_.ended_waits.empty() && !queue_.tick &&
         (!draining_ || waits_.empty())) {
    queued_.Wait(&mu_);
  }
  Group group = std::exchange(queue_, Group());
  group.end_all_waits = draining_ || stopped_;
  group.last = stopped_;
  return group;
}

void Engine::ServeGroup(Group group) {
  free_bytes_.reset();
  // By the clock, not by the tick, which only sees to it that a group comes.
  const absl::Duration now = clock_.Monotonic();
  const bool due = now - expiries_at_ >= kTick / 2;
  if (due) DecideExpiries(now);
  for (Request& request : group.requests) Decide(request);

  const bool changed = !group_events_.empty();
  if (const absl::Status appended = AppendEvents(); !appended.ok()) {
    Fail(appended);
  }
  for (Request& request : group.requests) {
    request.answer(failed_ ? Stopped() : std::move(request.status));
  }
  if (changed || due || failed_ || group.end_all_waits ||
      !group.new_waits.empty() || !group.ended_waits.empty()) {
    ServeWaits(group);
  }
  if (due && !failed_) metrics_.UpdateNowAndThen(scheduler_, now);
}

void Engine::Decide(Request& request) {
  if (failed_) return;
  Outcome outcome;
  if (request.is_command) {
    absl::StatusOr<Outcome> executed = Execute(request.command);
    metrics_.CountCommand(request.command, executed.status().code());
    if (!executed.ok()) {
      request.status = executed.status();
      return;
    }
    outcome = *std::move(executed);
  }
  request.status = request.look(View(), outcome);
}

void Engine::DecideExpiries(absl::Duration now) {
  if (failed_) return;
  const absl::Duration gap = now - std::exchange(expiries_at_, now);
  // This thread stood still (a slow disk, a paused machine) while calls queued
  // up that renew leases. Who calls three times per lease loses none to less.
  if (gap > options_.lease_duration / 3) {
    HS_REACHED("leases_postponed");
    HS_LOG(kWarning, "scheduler stood still, leases postponed seconds={:.1f}",
           absl::ToDoubleSeconds(gap));
    leases_.Postpone(gap);
  }
  // Workers first: what a silent worker loses must not be given to it again.
  for (WorkerGone& gone : leases_.TakeGone(now)) {
    HS_LOG(kWarning, "worker gone worker={} silent_for={}", gone.worker,
           options_.lease_duration);
    const Command command = std::move(gone);
    metrics_.CountCommand(command, Execute(command).status().code());
  }
  for (LeaseExpired& expired : leases_.TakeExpired(now)) {
    HS_LOG(kWarning, "lease expired run={} attempt={} lease_duration={}",
           expired.run, expired.attempt, options_.lease_duration);
    metrics_.CountExpiredLease();
    const Command command = std::move(expired);
    metrics_.CountCommand(command, Execute(command).status().code());
  }
}

absl::StatusOr<Outcome> Engine::Execute(const Command& command) {
  const absl::Duration start = clock_.Monotonic();
  const absl::Time wall_now = clock_.Now();
  const auto* synchronize = std::get_if<Synchronize>(&command);

  if (GrowsState(command)) {
    if (absl::Status room = RefuseWithoutRoom(command); !room.ok()) {
      // The worker is there and goes on; only its news has to wait.
      if (synchronize) leases_.Hear(synchronize->request, start, wall_now);
      return room;
    }
  }
  HS_ASSIGN_OR_RETURN(Outcome outcome, scheduler_.Execute(command, wall_now));
  metrics_.ObserveDecide(clock_.Monotonic() - start);

  if (synchronize) leases_.Hear(synchronize->request, start, wall_now);
  for (const Event& event : outcome.events) leases_.Observe(event, start);
  for (const Outcome::Refusal& refusal : outcome.refusals) {
    HS_LOG(kWarning, "news refused run={} attempt={} status={}", refusal.run,
           refusal.attempt, refusal.status);
  }
  group_events_.insert(group_events_.end(), outcome.events.begin(),
                       outcome.events.end());
  return outcome;
}

absl::Status Engine::RefuseWithoutRoom(const Command& command) {
  if (!free_bytes_.has_value()) free_bytes_ = journal_.FreeBytes();
  if (free_bytes_->ok() && **free_bytes_ >= options_.free_bytes_floor) {
    said_no_room_ = false;
    return absl::OkStatus();
  }
  // A repeat, or news of nothing, takes no room.
  if (const auto decided = scheduler_.Decide(command, clock_.Now());
      decided.ok() && decided->events.empty()) {
    return absl::OkStatus();
  }
  const std::string found = free_bytes_->ok()
                                ? absl::StrCat(**free_bytes_, " bytes are free")
                                : std::string(free_bytes_->status().message());
  const absl::Status refusal = absl::ResourceExhaustedError(absl::StrCat(
      found, " in ", options_.folder, ", below the floor of ",
      options_.free_bytes_floor,
      " (--free-bytes-floor). Free space there, then repeat the request."));
  if (!std::exchange(said_no_room_, true)) {
    HS_LOG(kError, "journal has no room status={}", refusal);
  }
  return refusal;
}

absl::Status Engine::AppendEvents() {
  if (failed_ || group_events_.empty()) return absl::OkStatus();
  const absl::Duration start = clock_.Monotonic();
  HS_RETURN_IF_ERROR(journal_.Append(group_events_));
  metrics_.ObserveAppend(clock_.Monotonic() - start);
  group_events_.clear();
  HS_CHECK_EQ(journal_.last_sequence(), scheduler_.event_count());
  return absl::OkStatus();
}

void Engine::ServeWaits(Group& group) {
  for (auto& [number, wait] : group.new_waits) {
    waits_.emplace(number, std::move(wait));
  }
  const absl::Duration now = clock_.Monotonic();
  std::vector<std::pair<PendingWait, WaitEnd>> ended;
  for (auto it = waits_.begin(); it != waits_.end();) {
    std::optional<WaitEnd> end;
    if (group.end_all_waits || failed_ ||
        std::find(group.ended_waits.begin(), group.ended_waits.end(),
                  it->first) != group.ended_waits.end()) {
      end = WaitEnd::kEnded;
    } else if (it->second.ask_from <= now && it->second.request.ready(View())) {
      end = WaitEnd::kReady;
    } else if (it->second.deadline <= now) {
      end = WaitEnd::kTimeout;
    }
    if (!end.has_value()) {
      ++it;
      continue;
    }
    ended.emplace_back(std::move(it->second), *end);
    it = waits_.erase(it);
  }
  if (ended.empty()) return;
  {
    MutexLock lock(&mu_);
    open_waits_ -= static_cast<int64_t>(ended.size());
  }
  for (auto& [wait, end] : ended) wait.request.then(View(), end);
}

void Engine::Fail(const absl::Status& error) {
  HS_LOG(kError, "journal not written, stopping status={}", error);
  failed_ = true;
  {
    MutexLock lock(&mu_);
    stopped_ = true;
  }
  options_.stop_process(error);
}

EngineView Engine::View() const {
  return {.scheduler = scheduler_, .leases = leases_, .now = clock_.Now()};
}

}  // namespace headstart::scheduler
