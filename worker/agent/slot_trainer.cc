// A slot's trainer: its life, its messages, and what they mean for the attempt.
#include <prometheus/counter.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "worker/agent/convert.h"
#include "worker/agent/slot.h"

namespace headstart::worker {
namespace {

// Trainers in a row that a signal ended before the first was ready.
constexpr int kKilledStartsMax = 5;

}  // namespace

void Slot::StartTrainer() {
  metrics_.trainer_starts.Increment();
  absl::StatusOr<std::unique_ptr<TrainerProcess>> trainer =
      TrainerProcess::Start(options_.trainer, log_);
  if (!trainer.ok()) {
    OnTrainerEnded(MakeFailure(v1::Failure::EXIT, trainer.status().message()));
    return;
  }
  trainer_ = *std::move(trainer);
  ready_until_ = clock_.Monotonic() + options_.start_patience;
}

void Slot::ReadTrainer() {
  while (trainer_ != nullptr) {
    trainer_->ReadLog();
    absl::StatusOr<TrainerMessage> message = trainer_->Receive();
    if (absl::IsDeadlineExceeded(message.status())) return;
    if (absl::IsUnavailable(message.status())) {
      OnTrainerEnded(trainer_->End(options_.stop_patience));
      return;
    }
    heard_at_ = clock_.Monotonic();
    absl::Status status = message.status();
    if (status.ok()) status = Handle(*message);
    if (!status.ok()) {
      KillTrainer(
          v1::Failure::EXCEPTION,
          absl::StrCat("the trainer broke the protocol: ", status.message()));
    }
  }
}

void Slot::Tell(const AgentMessage& message,
                absl::Span<const int> descriptors) {
  send_status_.Update(trainer_->Send(message, descriptors));
}

bool Slot::WaitsForSlab() const {
  return current_ != nullptr && current_->trainer_busy &&
         current_->snapshot_epoch < current_->assignment.until_epoch() &&
         current_->needs_slab && slabs_.all_taken();
}

absl::Duration Slot::SilentUntil() const {
  if (current_ == nullptr || !current_->trainer_busy || WaitsForSlab()) {
    return absl::InfiniteDuration();
  }
  return heard_at_ + options_.trainer_timeout;
}

void Slot::CheckDeadlines() {
  const absl::Duration now = clock_.Monotonic();
  // One that is gone has been read to its end before.
  if (trainer_ != nullptr && !send_status_.ok()) {
    KillTrainer(v1::Failure::EXIT,
                absl::StrCat("the trainer did not read what it was sent (",
                             send_status_.message(), ") and was killed"));
  }
  if (trainer_ != nullptr && now >= SilentUntil()) {
    KillTrainer(
        v1::Failure::EXIT,
        absl::StrCat("the trainer said nothing for ",
                     absl::FormatDuration(options_.trainer_timeout),
                     " and was killed; if it was at work, a batch takes too "
                     "long: choose a smaller batch_size, or start the worker "
                     "with a longer --trainer-timeout"));
  }
  if (trainer_ != nullptr && now >= ready_until_) {
    KillTrainer(v1::Failure::EXIT,
                absl::StrCat("the trainer was not ready after ",
                             absl::FormatDuration(options_.start_patience)));
  }
  if (trainer_ != nullptr && now >= stopped_until_) {
    KillTrainer(v1::Failure::EXIT,
                absl::StrCat("the trainer did not stop within ",
                             absl::FormatDuration(options_.stop_patience)));
  }
}

void Slot::KillTrainer(v1::Failure::Reason reason, const std::string& why) {
  HS_LOG(kWarning, "trainer will be killed slot={} why=\"{}\"",
         options_.spec.name, why);
  v1::Failure failure = trainer_->End(absl::ZeroDuration());
  failure.set_reason(reason);
  failure.set_message(why);
  failure.clear_exit_signal();  // Ours.
  OnTrainerEnded(std::move(failure));
}

void Slot::OnTrainerEnded(v1::Failure failure) {
  trainer_.reset();
  const bool was_ready = ready_.has_value();
  start_at_ = clock_.Monotonic() + restart_backoff_.Next();
  ready_.reset();
  ready_until_ = absl::InfiniteDuration();
  stopped_until_ = absl::InfiniteDuration();
  send_status_ = absl::OkStatus();
  if (current_ != nullptr && (current_->trainer_busy || !was_ready)) {
    current_->trainer_busy = false;
    Decide(v1::Attempt::FAILED, failure);
  }
  // One that ends itself will do so again; a signal may have been bad luck.
  if (!started_once_ && failure.exit_signal() != 0 &&
      ++killed_starts_ < kKilledStartsMax) {
    HS_LOG(kWarning, "trainer will be started again slot={} why=\"{}\"",
           options_.spec.name, failure.message());
    return;
  }
  if (!started_once_) {
    started_once_ = true;
    events_.on_first_start(absl::FailedPreconditionError(
        absl::StrCat("slot ", options_.spec.name, ": ", failure.message(),
                     ". It wrote:\n", failure.log_tail())));
  }
}

void Slot::EndTrainer() {
  if (trainer_ == nullptr) return;
  if (current_ != nullptr && current_->trainer_busy) {
    // It would hear of it after its assignment.
    trainer_->End(absl::ZeroDuration());
  } else {
    trainer_->Send(Exit{}).IgnoreError();
    trainer_->End(absl::Seconds(5));
  }
  trainer_.reset();
  ready_.reset();
  ready_until_ = absl::InfiniteDuration();
  send_status_ = absl::OkStatus();
}

absl::Status Slot::Handle(const TrainerMessage& message) {
  return std::visit([this](const auto& body) { return On(body); }, message);
}

absl::Status Slot::On(const Ready& ready) {
  if (ready_.has_value()) return absl::InvalidArgumentError("ready twice");
  if (ready.protocol != kTrainerProtocolVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat("it speaks version ", ready.protocol, ", this agent ",
                     kTrainerProtocolVersion));
  }
  if (started_once_ && ready.plugins != plugins_) {
    return absl::FailedPreconditionError(
        "its plug-ins are not those that the worker announced when it started. "
        "Start the worker again when they change");
  }
  ready_ = ready;
  ready_until_ = absl::InfiniteDuration();
  if (!started_once_) {
    started_once_ = true;
    plugins_ = ready.plugins;
    SlotStart start;
    start.slot.set_name(options_.spec.name);
    start.slot.set_device(ready.device);
    start.slot.set_thread_count(ready.threads);
    for (const PluginDescription& plugin : ready.plugins) {
      start.plugins.push_back(ToProto(plugin));
    }
    for (const RefusedPlugin& refused : ready.refused_plugins) {
      HS_LOG(kError, "plug-in refused file={} why=\"{}\"", refused.file,
             refused.message);
      start.refused_plugins.push_back(ToProto(refused));
    }
    events_.on_first_start(std::move(start));
  }
  return absl::OkStatus();
}

absl::Status Slot::On(const Started& started) {
  if (current_ == nullptr || !current_->trainer_busy ||
      current_->started.has_value() || started.run != current_->key.run ||
      started.attempt != current_->key.attempt) {
    return absl::InvalidArgumentError(absl::StrCat("started.run ", started.run,
                                                   " attempt ", started.attempt,
                                                   " was not assigned"));
  }
  current_->started = started;
  for (const InitializationStep& step : started.initialization) {
    *current_->initialization.add_steps() = ToProto(step);
  }
  if (current_->ending.has_value()) return absl::OkStatus();  // Is stopped.
  if (const absl::Status status = slabs_.Prepare(started.slab_bytes);
      !status.ok()) {
    Decide(v1::Attempt::FAILED,
           MakeFailure(v1::Failure::OUT_OF_MEMORY, status.message()));
    SendStop(StopMode::kNow);
    return absl::OkStatus();
  }
  current_->slabs_sent = true;
  Tell(Slabs{started.slab_bytes}, slabs_.descriptors());
  board_.SetRunning(current_->key, ToProto(started.effective));
  return absl::OkStatus();
}

absl::Status Slot::On(const Initializing& initializing) {
  if (current_ != nullptr && current_->trainer_busy) {
    current_->needs_slab = false;
    board_.SetActivity(current_->key, ActivityText(initializing));
  }
  return absl::OkStatus();
}

absl::Status Slot::On(const Step& step) {
  if (current_ != nullptr && current_->trainer_busy) {
    board_.SetProgress(current_->key, step.epoch,
                       std::min(1.0, static_cast<double>(step.step) /
                                         static_cast<double>(step.steps)));
    current_->needs_slab = false;
  }
  return absl::OkStatus();
}

absl::Status Slot::On(const Heartbeat&) {
  if (current_ != nullptr) current_->needs_slab = false;
  return absl::OkStatus();
}

absl::Status Slot::On(const EpochDone& epoch) {
  if (current_ == nullptr || !current_->trainer_busy || !current_->slabs_sent ||
      epoch.epoch != current_->snapshot_epoch + 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("epoch ", epoch.epoch, " was not its turn"));
  }
  if (epoch.epoch > 0) {
    metrics_.CountEpoch(epoch.seconds);
  } else {
    metrics_.CountRest(epoch.seconds);
  }
  current_->measured = epoch;
  current_->needs_slab = true;
  return absl::OkStatus();
}

absl::Status Slot::On(const Snapshot& snapshot) {
  // Slabs of an earlier assignment may be there that are too small for what
  // this one's table says.
  if (current_ == nullptr || !current_->trainer_busy || !current_->slabs_sent ||
      snapshot.epoch != current_->snapshot_epoch + 1 ||
      snapshot.epoch > current_->assignment.until_epoch() ||
      !current_->measured.has_value() ||
      current_->measured->epoch != snapshot.epoch) {
    return absl::InvalidArgumentError(absl::StrCat(
        "snapshot of epoch ", snapshot.epoch, " was not its turn"));
  }
  HS_RETURN_IF_ERROR(slabs_.Take(snapshot.slab));
  current_->snapshot_epoch = snapshot.epoch;
  current_->needs_slab = true;
  if (current_->cancel.stopped()) {
    slabs_.Give(snapshot.slab);
    return absl::OkStatus();
  }
  v1::EpochReport report;
  report.set_epoch(snapshot.epoch);
  const EpochDone& measured = *current_->measured;
  if (measured.measurement != Measurement()) {
    *report.mutable_measurement() = ToProto(measured.measurement);
  }
  *report.mutable_seconds() = ToProto(measured.seconds);
  report.set_examples_per_second(measured.examples_per_second);
  report.set_peak_memory_bytes(measured.peak_memory_bytes);
  StoreSnapshot(snapshot.slab, std::move(report));
  return absl::OkStatus();
}

absl::Status Slot::On(const Paused& paused) {
  if (current_ == nullptr || !current_->trainer_busy ||
      !current_->stop_sent.has_value()) {
    return absl::InvalidArgumentError("paused without being stopped");
  }
  current_->trainer_busy = false;
  stopped_until_ = absl::InfiniteDuration();
  restart_backoff_.Reset();
  metrics_.CountRest(paused.seconds);
  Decide(v1::Attempt::RELEASED);
  return absl::OkStatus();
}

absl::Status Slot::On(const Finished& finished) {
  if (current_ == nullptr || !current_->trainer_busy ||
      finished.epoch != current_->snapshot_epoch ||
      (finished.epoch != current_->assignment.until_epoch() &&
       !current_->assignment.training().has_early_stop())) {
    return absl::InvalidArgumentError(
        absl::StrCat("finished with epoch ", finished.epoch));
  }
  current_->trainer_busy = false;
  stopped_until_ = absl::InfiniteDuration();
  restart_backoff_.Reset();
  metrics_.CountRest(finished.seconds);
  Decide(v1::Attempt::SUCCEEDED);
  return absl::OkStatus();
}

absl::Status Slot::On(const Failed& failed) {
  if (current_ == nullptr || !current_->trainer_busy) {
    return absl::InvalidArgumentError(
        absl::StrCat("failed without an assignment: ", failed.message));
  }
  // It has done its part: the next trial may come at once.
  if (failed.reason == FailureReason::kNonFiniteLoss) restart_backoff_.Reset();
  v1::Failure failure = ToProto(failed);
  failure.set_log_tail(trainer_->End(options_.stop_patience).log_tail());
  OnTrainerEnded(std::move(failure));
  return absl::OkStatus();
}

}  // namespace headstart::worker
