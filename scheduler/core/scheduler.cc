#include "scheduler/core/scheduler.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "google/protobuf/timestamp.pb.h"

#include "base/check.h"
#include "base/status_macros.h"
#include "scheduler/core/decide.h"
#include "scheduler/core/state.h"

namespace headstart::scheduler {
namespace {

// Raised when an older release could misread what this one writes.
constexpr int64_t kFormatVersion = 1;

const RequestKey* KeyOf(const Command& command) {
  return std::visit(
      [](const auto& kind) -> const RequestKey* {
        if constexpr (requires { kind.request.id; }) {
          return &kind.request;
        } else {
          return nullptr;
        }
      },
      command);
}

// What every event carries, and every decision in one.
void Stamp(absl::Time now, std::vector<Event>& events) {
  const timespec instant = absl::ToTimespec(now);
  Timestamp time;
  time.set_seconds(instant.tv_sec);
  time.set_nanos(static_cast<int32_t>(instant.tv_nsec));
  for (Event& event : events) {
    event.set_format_version(kFormatVersion);
    *event.mutable_time() = time;
    if (event.has_trial_created()) {
      *event.mutable_trial_created()
           ->mutable_decision()
           ->mutable_decide_time() = time;
    } else if (event.has_trial_promoted()) {
      *event.mutable_trial_promoted()
           ->mutable_decision()
           ->mutable_decide_time() = time;
    } else if (event.trial_state_changed().has_decision()) {
      *event.mutable_trial_state_changed()
           ->mutable_decision()
           ->mutable_decide_time() = time;
    }
  }
}

}  // namespace

Scheduler::Scheduler() : state_(std::make_unique<State>()) {}
Scheduler::~Scheduler() = default;
Scheduler::Scheduler(Scheduler&&) noexcept = default;
Scheduler& Scheduler::operator=(Scheduler&&) noexcept = default;

absl::StatusOr<Outcome> Scheduler::Decide(const Command& command,
                                          absl::Time now) const {
  const RequestKey* key = KeyOf(command);
  if (key != nullptr) {
    HS_ASSIGN_OR_RETURN(std::optional<std::string> answered,
                        state_->requests.Find(*key));
    if (answered.has_value()) {
      HS_REACHED("request_repeated");
      Outcome outcome;
      outcome.name = *std::move(answered);
      return outcome;
    }
  }
  HS_ASSIGN_OR_RETURN(Outcome outcome,
                      std::visit(
                          [&](const auto& kind) {
                            return ::headstart::scheduler::Decide(*state_,
                                                                  kind);
                          },
                          command));
  if (key != nullptr && !key->id.empty()) {
    internal::v1::RequestAnswered& answered =
        *outcome.events.emplace_back().mutable_request_answered();
    answered.set_request_id(key->id);
    answered.set_method(key->method);
    answered.set_name(outcome.name);
    answered.set_fingerprint(key->fingerprint);
  }
  Stamp(now, outcome.events);
  return outcome;
}

void Scheduler::Apply(const Event& event) { ApplyEvent(*state_, event); }

absl::StatusOr<Outcome> Scheduler::Execute(const Command& command,
                                           absl::Time now) {
  HS_ASSIGN_OR_RETURN(Outcome outcome, Decide(command, now));
  for (const Event& event : outcome.events) Apply(event);
  while (true) {
    absl::StatusOr<Outcome> step = Decide(Advance{}, now);
    HS_CHECK_OK(step.status());
    if (step->events.empty()) break;
    for (Event& event : step->events) {
      Apply(event);
      outcome.events.push_back(std::move(event));
    }
  }
  if (const auto* synchronize = std::get_if<Synchronize>(&command)) {
    TakeWaiting(synchronize->request);
  }
  return outcome;
}

void Scheduler::TakeWaiting(const v1::SynchronizeRequest& request) {
  State::WaitingRuns waiting;
  for (const v1::AttemptStatus& status : request.attempts()) {
    const absl::StatusOr<RunName> run = RunName::Parse(status.run());
    if (status.waiting_for().empty() || !run.ok()) continue;
    waiting[*run] = {.attempt = status.attempt(), .what = status.waiting_for()};
  }
  const auto before = state_->waiting.find(request.worker());
  if (waiting.empty() && before == state_->waiting.end()) return;
  if (before != state_->waiting.end() && before->second == waiting) return;
  ++state_->waiting_version;
  if (waiting.empty()) {
    state_->waiting.erase(before);
  } else {
    state_->waiting[request.worker()] = std::move(waiting);
  }
}

int64_t Scheduler::event_count() const { return state_->event_count; }

int64_t Scheduler::WaitingVersion() const { return state_->waiting_version; }

int64_t Scheduler::OwnerVersion(absl::string_view name) const {
  if (const auto comparison = state_->GetComparison(name); comparison.ok()) {
    int64_t version = 0;
    for (const int64_t training : (*comparison)->trainings) {
      version =
          std::max(version, OwnerVersion(TrainingName{training}.ToString()));
    }
    return version;
  }
  const absl::StatusOr<Owner> owner = Owner::Parse(name);
  if (!owner.ok()) return 0;
  const auto record = state_->owners.find(*owner);
  return record == state_->owners.end() ? 0 : record->second.version;
}

}  // namespace headstart::scheduler
