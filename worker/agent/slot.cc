#include "worker/agent/slot.h"

#include <poll.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "worker/agent/convert.h"

namespace headstart::worker {
namespace {

v1::Failure MakeFailure(v1::Failure::Reason reason, absl::string_view message) {
  v1::Failure failure;
  failure.set_reason(reason);
  failure.set_message(std::string(message));
  return failure;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Slot>> Slot::Create(
    SlotOptions options, SlotEvents events, AttemptBoard& board,
    StorageClient& storage, AgentMetrics& metrics, RandomStream jitter) {
  HS_ASSIGN_OR_RETURN(TrainerLog log, TrainerLog::Open(options.log_path));
  std::unique_ptr<Slot> slot(new Slot(std::move(options), std::move(events),
                                      std::move(log), board, storage, metrics,
                                      std::move(jitter)));
  slot->storage_thread_ = std::thread([s = slot.get()] { s->RunStorage(); });
  slot->thread_ = std::thread([s = slot.get()] { s->Run(); });
  return slot;
}

Slot::Slot(SlotOptions options, SlotEvents events, TrainerLog log,
           AttemptBoard& board, StorageClient& storage, AgentMetrics& metrics,
           RandomStream jitter)
    : options_(std::move(options)),
      events_(std::move(events)),
      board_(board),
      metrics_(metrics),
      clock_(Clock::Real()),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      log_(std::move(log)),
      slabs_(options_.slab_count),
      restart_backoff_(absl::Milliseconds(100), absl::Seconds(10),
                       jitter.Child("restart")),
      uploader_(storage, {&clock_, jitter.Child("upload")}, metrics),
      fetcher_(storage, {&clock_, jitter.Child("fetch")}) {
  HS_CHECK(wake_.valid());
}

Slot::~Slot() {
  {
    MutexLock lock(&mu_);
    ending_ = true;
  }
  Post([] {});  // Wakes the thread.
  thread_.join();
  storage_thread_.join();
}

void Slot::SetDesired(DesiredWork desired) {
  Post([this, desired = std::move(desired)]() mutable {
    desired_ = std::move(desired);
  });
}

void Slot::HandBack() {
  Post([this] { handing_back_ = true; });
}

void Slot::Post(std::function<void()> closure) {
  {
    MutexLock lock(&mu_);
    posted_.push_back(std::move(closure));
  }
  eventfd_write(wake_.get(), 1);
}

void Slot::Store(std::function<void()> job) {
  ++current_->job_count;
  MutexLock lock(&mu_);
  jobs_.push_back(std::move(job));
}

void Slot::RunStorage() {
  for (;;) {
    std::function<void()> job;
    {
      MutexLock lock(&mu_);
      mu_.Await([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return ending_ || !jobs_.empty();
      });
      if (ending_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job();
  }
}

void Slot::Run() {
  while (RunPosted()) {
    ReadTrainer();
    CheckDeadlines();
    Reconcile();
    Wait();
  }
  // current_ stays: the storage thread may still look at it.
  if (current_ != nullptr) current_->cancel.Stop();
  EndTrainer();
}

bool Slot::RunPosted() {
  std::vector<std::function<void()>> closures;
  {
    MutexLock lock(&mu_);
    if (ending_) return false;
    closures.swap(posted_);
  }
  for (const auto& closure : closures) closure();
  return true;
}

void Slot::Wait() {
  std::vector<pollfd> entries;
  if (trainer_ != nullptr) entries = trainer_->poll_entries();
  entries.push_back({.fd = wake_.get(), .events = POLLIN, .revents = 0});
  absl::Duration until = std::min(ready_until_, stopped_until_);
  if (trainer_ == nullptr && !handing_back_) until = std::min(until, start_at_);
  int wait_ms = -1;
  if (until != absl::InfiniteDuration()) {
    const absl::Duration left =
        std::max(until - clock_.Monotonic(), absl::ZeroDuration());
    wait_ms = static_cast<int>(
        absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))));
  }
  poll(entries.data(), entries.size(), wait_ms);
  eventfd_t count = 0;
  eventfd_read(wake_.get(), &count);
}

void Slot::Reconcile() {
  if (trainer_ == nullptr && !handing_back_ &&
      clock_.Monotonic() >= start_at_) {
    StartTrainer();
  }
  if (current_ != nullptr) {
    const bool wanted = desired_.assignment.has_value() &&
                        AttemptKey::Of(*desired_.assignment) == current_->key;
    if (!wanted) {
      GiveUp(/*keep_snapshots=*/false);
    } else if (handing_back_) {
      GiveUp(/*keep_snapshots=*/true);
    } else if (desired_.release && !current_->ending.has_value()) {
      if (current_->trainer_busy) {
        SendStop(StopMode::kAfterEpoch);
      } else {
        GiveUp(/*keep_snapshots=*/true);
      }
    }
    AssignIfReady();
    EndIfOver();
  }
  if (current_ == nullptr && desired_.assignment.has_value() &&
      !handing_back_) {
    Begin();
  }
  if (current_ == nullptr && handing_back_ && !said_handed_back_) {
    said_handed_back_ = true;
    events_.on_handed_back();
  }
}

void Slot::Begin() {
  const v1::Assignment& assignment = *desired_.assignment;
  const AttemptKey key = AttemptKey::Of(assignment);
  if (!board_.Begin(key)) {
    // It has ended here, and the scheduler will know; or it is out of date.
    desired_.assignment.reset();
    return;
  }
  HS_LOG(kInfo,
         "attempt begins slot={} run={} attempt={} from_epoch={} "
         "until_epoch={}",
         options_.spec.name, key.run, key.attempt, assignment.from_epoch(),
         assignment.until_epoch());
  metrics_.busy_slots.Increment();
  log_.ForgetTail();
  current_ = std::make_unique<Current>();
  current_->key = key;
  current_->assignment = assignment;
  current_->cluster_id = desired_.cluster_id;
  if (assignment.from_epoch() > 0) {
    current_->snapshot_epoch = assignment.from_epoch();
  }
  FetchSources();
  AssignIfReady();
}

void Slot::FetchSources() {
  const v1::Assignment& assignment = current_->assignment;
  std::string checkpoint;
  SourceRole role = SourceRole::kResume;
  if (assignment.from_epoch() > 0) {
    checkpoint =
        absl::StrCat(assignment.run(), "/epochs/", assignment.from_epoch());
  } else if (assignment.training().initializer().has_checkpoint()) {
    checkpoint = assignment.training().initializer().checkpoint().checkpoint();
    role = SourceRole::kInitializer;
  } else {
    current_->sources_ready = true;
    return;
  }
  Store([this, current = current_.get(), checkpoint, role] {
    auto fetched = std::make_shared<absl::StatusOr<FetchedSource>>(
        fetcher_.Fetch(checkpoint, role, current->cancel));
    if (fetched->ok() && role == SourceRole::kResume) {
      current->parent_digest = std::string((*fetched)->manifest_digest.bytes());
    }
    Post([this, fetched] { OnFetched(std::move(*fetched)); });
  });
}

void Slot::OnFetched(absl::StatusOr<FetchedSource> fetched) {
  --current_->job_count;
  if (fetched.ok()) {
    current_->fetched = *std::move(fetched);
    current_->sources_ready = true;
  } else if (!absl::IsCancelled(fetched.status())) {
    Decide(v1::Attempt::FAILED,
           MakeFailure(absl::IsResourceExhausted(fetched.status())
                           ? v1::Failure::OUT_OF_MEMORY
                           : v1::Failure::SOURCE_UNAVAILABLE,
                       fetched.status().message()));
  }
}

void Slot::AssignIfReady() {
  if (current_->ending.has_value() || current_->trainer_busy ||
      !current_->sources_ready || !ready_.has_value()) {
    return;
  }
  std::vector<Source> sources;
  std::vector<int> descriptors;
  if (current_->fetched.has_value()) {
    sources.push_back(current_->fetched->source);
    descriptors.push_back(current_->fetched->memory.descriptor());
  }
  current_->trainer_busy = true;
  // When it cannot be sent the trainer is gone, which is noticed elsewhere.
  trainer_
      ->Send(ToAssign(current_->assignment, std::move(sources)), descriptors)
      .IgnoreError();
  current_->fetched.reset();  // The trainer has the memory now.
}

void Slot::Decide(v1::Attempt::State state, v1::Failure failure) {
  if (current_->ending.has_value()) return;
  current_->ending = Ending{state, std::move(failure)};
}

void Slot::SendStop(StopMode mode) {
  if (current_->stop_sent == mode || current_->stop_sent == StopMode::kNow) {
    return;
  }
  current_->stop_sent = mode;
  if (mode == StopMode::kNow) {
    stopped_until_ = clock_.Monotonic() + options_.stop_patience;
  }
  trainer_->Send(Stop{mode}).IgnoreError();
}

void Slot::GiveUp(bool keep_snapshots) {
  if (!keep_snapshots) current_->cancel.Stop();
  Decide(v1::Attempt::RELEASED);
  if (current_->trainer_busy) SendStop(StopMode::kNow);
}

void Slot::EndIfOver() {
  if (!current_->ending.has_value() || current_->trainer_busy) return;
  // A fetch for an attempt that is over is of no use to anyone.
  if (!current_->sources_ready) current_->cancel.Stop();
  if (current_->job_count > 0) return;
  const Ending ending = *std::move(current_->ending);
  const AttemptKey key = current_->key;
  current_.reset();
  metrics_.busy_slots.Decrement();
  metrics_.CountAttempt(ending.state);
  HS_LOG(kInfo, "attempt ends slot={} run={} attempt={} state={} why=\"{}\"",
         options_.spec.name, key.run, key.attempt,
         v1::Attempt::State_Name(ending.state), ending.failure.message());
  if (options_.isolate_trials || ending.state == v1::Attempt::FAILED) {
    EndTrainer();
  }
  board_.End(key, ending.state, ending.failure);
}

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
    absl::Status status = message.status();
    if (status.ok()) status = Handle(*message);
    if (!status.ok()) {
      KillTrainer(
          v1::Failure::EXCEPTION,
          absl::StrCat("the trainer broke the protocol: ", status.message()));
    }
  }
}

void Slot::CheckDeadlines() {
  const absl::Duration now = clock_.Monotonic();
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
  // One that got ready is replaced at once.
  const bool was_ready = ready_.has_value();
  start_at_ = clock_.Monotonic() +
              (was_ready ? absl::ZeroDuration() : restart_backoff_.Next());
  ready_.reset();
  ready_until_ = absl::InfiniteDuration();
  stopped_until_ = absl::InfiniteDuration();
  if (current_ != nullptr && (current_->trainer_busy || !was_ready)) {
    current_->trainer_busy = false;
    Decide(v1::Attempt::FAILED, failure);
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
  ready_ = ready;
  ready_until_ = absl::InfiniteDuration();
  restart_backoff_.Reset();
  if (!started_once_) {
    started_once_ = true;
    v1::Slot slot;
    slot.set_name(options_.spec.name);
    slot.set_device(ready.device);
    slot.set_thread_count(ready.threads);
    events_.on_first_start(std::move(slot));
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
  if (current_->ending.has_value()) return absl::OkStatus();  // Is stopped.
  if (const absl::Status status = slabs_.Prepare(started.slab_bytes);
      !status.ok()) {
    Decide(v1::Attempt::FAILED,
           MakeFailure(v1::Failure::OUT_OF_MEMORY, status.message()));
    SendStop(StopMode::kNow);
    return absl::OkStatus();
  }
  trainer_->Send(Slabs{started.slab_bytes}, slabs_.descriptors()).IgnoreError();
  board_.SetRunning(current_->key, ToProto(started.effective));
  return absl::OkStatus();
}

absl::Status Slot::On(const Step& step) {
  if (current_ != nullptr && current_->trainer_busy) {
    board_.SetProgress(current_->key, step.epoch,
                       std::min(1.0, static_cast<double>(step.step) /
                                         static_cast<double>(step.steps)));
  }
  return absl::OkStatus();
}

absl::Status Slot::On(const EpochDone& epoch) {
  if (current_ == nullptr || !current_->started.has_value() ||
      epoch.epoch != current_->snapshot_epoch + 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("epoch ", epoch.epoch, " was not its turn"));
  }
  metrics_.CountEpoch(epoch.seconds);
  current_->measured = epoch;
  return absl::OkStatus();
}

absl::Status Slot::On(const Snapshot& snapshot) {
  if (current_ == nullptr || !current_->started.has_value() ||
      snapshot.epoch != current_->snapshot_epoch + 1 ||
      (snapshot.epoch > 0 && (!current_->measured.has_value() ||
                              current_->measured->epoch != snapshot.epoch))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "snapshot of epoch ", snapshot.epoch, " was not its turn"));
  }
  HS_RETURN_IF_ERROR(slabs_.Take(snapshot.slab));
  current_->snapshot_epoch = snapshot.epoch;
  if (current_->cancel.stopped()) {
    slabs_.Give(snapshot.slab);
    return absl::OkStatus();
  }
  v1::EpochReport report;
  report.set_epoch(snapshot.epoch);
  if (snapshot.epoch > 0) {
    const EpochDone& measured = *current_->measured;
    *report.mutable_measurement() = ToProto(measured.measurement);
    *report.mutable_seconds() = ToProto(measured.seconds);
    report.set_examples_per_second(measured.examples_per_second);
  }
  StoreSnapshot(snapshot.slab, std::move(report));
  return absl::OkStatus();
}

void Slot::StoreSnapshot(int64_t slab, v1::EpochReport report) {
  const Started& started = *current_->started;
  SnapshotUpload upload;
  upload.slab = &slabs_.slab(slab);
  upload.tensors = &started.tensors;
  upload.attempt = current_->key.attempt;
  upload.token = current_->key.token;
  upload.cluster_id = current_->cluster_id;
  v1::Manifest& manifest = upload.manifest;
  manifest.set_format_version(1);
  manifest.set_run(current_->key.run);
  manifest.set_epoch(report.epoch());
  if (report.has_measurement()) {
    *manifest.mutable_measurement() = report.measurement();
  }
  *manifest.mutable_initializer() =
      current_->assignment.training().initializer();
  manifest.set_model(started.model);
  manifest.set_input_transform(started.input_transform);
  manifest.mutable_environment()->set_library(ready_->library);
  manifest.mutable_environment()->set_device(ready_->device);
  manifest.mutable_environment()->set_thread_count(
      started.effective.thread_count);

  Store([this, current = current_.get(), slab, upload = std::move(upload),
         report = std::move(report)]() mutable {
    upload.manifest.set_parent(current->parent_digest);
    absl::StatusOr<storage::Digest> digest =
        uploader_.Upload(upload, current->cancel);
    if (digest.ok()) {
      current->parent_digest = std::string(digest->bytes());
    } else {
      current->cancel.Stop();  // Nothing may follow an epoch that is missing.
    }
    Post([this, slab, report = std::move(report),
          digest = std::move(digest)]() mutable {
      OnStored(slab, std::move(report), std::move(digest));
    });
  });
}

void Slot::OnStored(int64_t slab, v1::EpochReport report,
                    absl::StatusOr<storage::Digest> digest) {
  --current_->job_count;
  slabs_.Give(slab);
  if (digest.ok()) {
    report.set_manifest_digest(std::string(digest->bytes()));
    board_.AddReport(current_->key, std::move(report));
    if (current_->trainer_busy) {
      trainer_->Send(SlabFree{slab}).IgnoreError();
    }
    return;
  }
  if (absl::IsCancelled(digest.status())) return;  // Decided before.
  HS_LOG(kWarning, "epoch not stored run={} attempt={} epoch={} why={}",
         current_->key.run, current_->key.attempt, report.epoch(),
         digest.status());
  // Whatever the trainer said: its result is not there.
  current_->ending =
      absl::IsAborted(digest.status())
          ? Ending{v1::Attempt::RELEASED, {}}
          : Ending{v1::Attempt::FAILED, MakeFailure(v1::Failure::EXCEPTION,
                                                    digest.status().message())};
  if (current_->trainer_busy) SendStop(StopMode::kNow);
}

absl::Status Slot::On(const Paused&) {
  if (current_ == nullptr || !current_->trainer_busy ||
      !current_->stop_sent.has_value()) {
    return absl::InvalidArgumentError("paused without being stopped");
  }
  current_->trainer_busy = false;
  stopped_until_ = absl::InfiniteDuration();
  Decide(v1::Attempt::RELEASED);
  return absl::OkStatus();
}

absl::Status Slot::On(const Finished& finished) {
  if (current_ == nullptr || !current_->trainer_busy ||
      finished.epoch != current_->assignment.until_epoch() ||
      finished.epoch != current_->snapshot_epoch) {
    return absl::InvalidArgumentError(
        absl::StrCat("finished with epoch ", finished.epoch));
  }
  current_->trainer_busy = false;
  stopped_until_ = absl::InfiniteDuration();
  Decide(v1::Attempt::SUCCEEDED);
  return absl::OkStatus();
}

absl::Status Slot::On(const Failed& failed) {
  if (current_ == nullptr || !current_->trainer_busy) {
    return absl::InvalidArgumentError(
        absl::StrCat("failed without an assignment: ", failed.message));
  }
  v1::Failure failure = ToProto(failed);
  failure.set_log_tail(trainer_->End(options_.stop_patience).log_tail());
  OnTrainerEnded(std::move(failure));
  return absl::OkStatus();
}

}  // namespace headstart::worker
