#include "worker/agent/slot.h"

#include <poll.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "proto/checkpoint_fields.h"
#include "worker/agent/convert.h"

namespace headstart::worker {
namespace {

// How often a wait for storage is counted while it lasts.
constexpr absl::Duration kStallTick = absl::Seconds(1);

}  // namespace
absl::StatusOr<std::unique_ptr<Slot>> Slot::Create(
    SlotOptions options, SlotEvents events, AttemptBoard& board,
    StorageClient& storage, MemoryBudget& memory, AgentMetrics& metrics,
    RandomStream jitter) {
  HS_ASSIGN_OR_RETURN(TrainerLog log, TrainerLog::Open(options.log_path));
  std::unique_ptr<Slot> slot(new Slot(std::move(options), std::move(events),
                                      std::move(log), board, storage, memory,
                                      metrics, std::move(jitter)));
  slot->storage_thread_ = std::thread([s = slot.get()] { s->RunStorage(); });
  slot->thread_ = std::thread([s = slot.get()] { s->Run(); });
  return slot;
}

Slot::Slot(SlotOptions options, SlotEvents events, TrainerLog log,
           AttemptBoard& board, StorageClient& storage, MemoryBudget& memory,
           AgentMetrics& metrics, RandomStream jitter)
    : options_(std::move(options)),
      events_(std::move(events)),
      board_(board),
      metrics_(metrics),
      clock_(Clock::Real()),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      log_(std::move(log)),
      slabs_(options_.slab_count, memory),
      restart_backoff_(absl::Milliseconds(100), absl::Seconds(10),
                       jitter.Child("restart")),
      uploader_(storage, RetryWith(jitter.Child("upload")), metrics),
      fetcher_(storage, RetryWith(jitter.Child("fetch")), memory) {
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

StorageRetry Slot::RetryWith(RandomStream jitter) {
  return {.clock = &clock_,
          .jitter = std::move(jitter),
          .on_waiting = [this](const std::string& waiting_for) {
            Post([this, waiting_for] { OnWaiting(waiting_for); });
          }};
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
    CountStall();
    Wait();
    CountStall();
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
  absl::Duration until =
      std::min({ready_until_, stopped_until_, SilentUntil()});
  if (!send_status_.ok()) until = absl::ZeroDuration();
  if (stalled_at_.has_value())
    until = std::min(until, *stalled_at_ + kStallTick);
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
  const bool resumes = assignment.from_epoch() > 0;
  const SourceRole role =
      resumes ? SourceRole::kResume : SourceRole::kInitializer;
  std::vector<std::string> checkpoints;
  if (resumes) {
    checkpoints.push_back(
        absl::StrCat(assignment.run(), "/epochs/", assignment.from_epoch()));
  } else {
    checkpoints = CheckpointsIn(assignment.training().initializer());
  }
  if (checkpoints.empty()) {
    current_->sources_ready = true;
    return;
  }
  Store([this, current = current_.get(), checkpoints = std::move(checkpoints),
         role] {
    auto fetched = std::make_shared<absl::StatusOr<FetchedSources>>(
        FetchAll(checkpoints, role, current->cancel));
    if (fetched->ok() && role == SourceRole::kResume) {
      current->parent_digest =
          std::string((*fetched)->front().manifest_digest.bytes());
    }
    Post([this, fetched] { OnFetched(std::move(*fetched)); });
  });
}

absl::StatusOr<Slot::FetchedSources> Slot::FetchAll(
    const std::vector<std::string>& checkpoints, SourceRole role,
    const StopEvent& cancel) {
  FetchedSources all;
  for (const std::string& checkpoint : checkpoints) {
    HS_ASSIGN_OR_RETURN(FetchedSource fetched,
                        fetcher_.Fetch(checkpoint, role, cancel));
    all.push_back(std::move(fetched));
  }
  return all;
}

void Slot::OnFetched(absl::StatusOr<FetchedSources> fetched) {
  --current_->job_count;
  if (fetched.ok()) {
    for (const FetchedSource& each : *fetched) {
      if (each.source.role == SourceRole::kResume) continue;
      v1::Initialization::Source& source =
          *current_->initialization.add_sources();
      source.set_checkpoint(each.source.checkpoint);
      source.set_manifest_digest(std::string(each.manifest_digest.bytes()));
    }
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

void Slot::OnWaiting(std::string waiting_for) {
  // Comes before the end of the job, which current_ waits for.
  if (waiting_for == current_->waiting_for) return;
  current_->waiting_for = std::move(waiting_for);
  board_.SetWaiting(current_->key, current_->waiting_for);
}

bool Slot::WaitsForStorage() const {
  return WaitsForSlab() || (current_ != nullptr && !current_->trainer_busy &&
                            !current_->waiting_for.empty());
}

void Slot::CountStall() {
  const absl::Duration now = clock_.Monotonic();
  if (stalled_at_.has_value()) {
    metrics_.stall_seconds.Increment(absl::ToDoubleSeconds(now - *stalled_at_));
  }
  stalled_at_.reset();
  if (WaitsForStorage()) stalled_at_ = now;
}

void Slot::AssignIfReady() {
  if (current_->ending.has_value() || current_->trainer_busy ||
      !current_->sources_ready || !ready_.has_value()) {
    return;
  }
  std::vector<Source> sources;
  std::vector<int> descriptors;
  for (FetchedSource& fetched : current_->fetched) {
    sources.push_back(fetched.source);
    descriptors.push_back(fetched.memory.descriptor());
    current_->source_shares.push_back(std::move(fetched.share));
  }
  current_->trainer_busy = true;
  heard_at_ = clock_.Monotonic();
  Tell(ToAssign(current_->assignment, std::move(sources)), descriptors);
  current_->fetched.clear();  // The trainer has the memory now.
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
  Tell(Stop{mode});
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
  if (report.epoch() == 0) {
    *manifest.mutable_initialization() = current_->initialization;
  }
  upload.seconds = report.seconds();
  upload.peak_memory_bytes = report.peak_memory_bytes();
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
      heard_at_ = clock_.Monotonic();
      Tell(SlabFree{slab});
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

}  // namespace headstart::worker
