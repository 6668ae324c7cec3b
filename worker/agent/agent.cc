#include "worker/agent/agent.h"

#include <grpcpp/client_context.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/net/grpc_status.h"
#include "base/net/listener.h"
#include "base/random_stream.h"
#include "base/status_macros.h"
#include "google/protobuf/util/time_util.h"
#include "worker/agent/channel.h"
#include "worker/dataset_files/dataset_files.h"

namespace headstart::worker {
namespace {

constexpr int64_t kProtocolVersion = 1;
constexpr absl::Duration kCallTimeoutMax = absl::Seconds(30);

// Larger than at any start before, whatever the wall clock does.
absl::StatusOr<int64_t> NextIncarnation(const std::string& data_folder) {
  const std::string path = data_folder + "/incarnation";
  int64_t last = 0;
  absl::StatusOr<std::string> text = ReadFile(path);
  if (text.ok() && !absl::SimpleAtoi(absl::StripSuffix(*text, "\n"), &last)) {
    return absl::DataLossError(absl::StrCat(
        path, " holds \"", *text, "\", not a number. Remove the file."));
  }
  if (!text.ok() && !absl::IsNotFound(text.status())) return text.status();
  const int64_t next =
      std::max(last + 1, absl::ToUnixMicros(Clock::Real().Now()));
  HS_RETURN_IF_ERROR(WriteFileAtomically(path, absl::StrCat(next, "\n")));
  return next;
}

// A call that carries something to be acknowledged is answered at once.
bool IsAnsweredAtOnce(const v1::SynchronizeRequest& request) {
  return std::any_of(request.attempts().begin(), request.attempts().end(),
                     [](const v1::AttemptStatus& attempt) {
                       return attempt.reports_size() > 0 ||
                              attempt.state() == v1::Attempt::RELEASED ||
                              attempt.state() == v1::Attempt::SUCCEEDED ||
                              attempt.state() == v1::Attempt::FAILED;
                     });
}

bool SameBytes(const v1::PluginDescription& a, const v1::PluginDescription& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

// Errors after which the same call can never succeed.
bool EndsAgent(const absl::Status& status) {
  return absl::IsAborted(status) || absl::IsFailedPrecondition(status) ||
         absl::IsInvalidArgument(status) || absl::IsUnimplemented(status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> Agent::Start(
    AgentOptions options, Telemetry& telemetry, std::function<void()> on_end) {
  HS_ASSIGN_OR_RETURN(const int64_t incarnation,
                      NextIncarnation(options.data_folder));
  std::unique_ptr<Agent> agent(
      new Agent(std::move(options), telemetry, std::move(on_end), incarnation));
  HS_RETURN_IF_ERROR(agent->CreateSlots());
  agent->thread_ = std::thread([a = agent.get()] { a->Run(); });
  return agent;
}

Agent::Agent(AgentOptions options, Telemetry& telemetry,
             std::function<void()> on_end, int64_t incarnation)
    : options_(std::move(options)),
      on_end_(std::move(on_end)),
      incarnation_(incarnation),
      clock_(Clock::Real()),
      metrics_(telemetry),
      storage_(telemetry),
      memory_(MemoryBudget::MachineBytes()),
      board_([this] { OnNews(); }),
      slot_starts_(options_.slots.size()),
      backoff_(absl::Milliseconds(100), absl::Seconds(5),
               RandomStream(incarnation).Child("scheduler")) {}

absl::Status Agent::CreateSlots() {
  metrics_.slots.Set(static_cast<double>(options_.slots.size()));
  for (size_t i = 0; i < options_.slots.size(); ++i) {
    const SlotSpec& spec = options_.slots[i];
    SlotOptions slot{.spec = spec,
                     .trainer = TrainerFor(spec),
                     .log_path = absl::StrCat(
                         options_.data_folder, "/trainer-",
                         absl::StrReplaceAll(spec.name, {{":", "-"}}), ".log"),
                     .slab_count = options_.slab_count,
                     .isolate_trials = options_.isolate_trials,
                     .trainer_timeout = options_.trainer_timeout,
                     .stop_patience = options_.stop_patience};
    SlotEvents events{.on_first_start =
                          [this, i](absl::StatusOr<SlotStart> started) {
                            MutexLock lock(&mu_);
                            slot_starts_[i] = std::move(started);
                          },
                      .on_handed_back =
                          [this] {
                            {
                              MutexLock lock(&mu_);
                              ++handed_back_count_;
                            }
                            OnNews();
                          }};
    HS_ASSIGN_OR_RETURN(
        auto created,
        Slot::Create(std::move(slot), std::move(events), board_, storage_,
                     memory_, metrics_,
                     RandomStream(incarnation_).Child("slot", i)));
    slots_.push_back(std::move(created));
  }
  return absl::OkStatus();
}

TrainerOptions Agent::TrainerFor(const SlotSpec& slot) const {
  TrainerOptions trainer;
  trainer.program = options_.trainer_program;
  trainer.arguments = {"--threads", absl::StrCat(slot.thread_count), "--device",
                       slot.device};
  trainer.arguments.push_back("--cache");
  trainer.arguments.push_back(options_.data_folder + "/cache");
  for (const std::string& folder : options_.dataset_folders) {
    trainer.arguments.push_back("--datasets");
    trainer.arguments.push_back(folder);
  }
  if (!options_.plugin_folder.empty()) {
    trainer.arguments.push_back("--plugins");
    trainer.arguments.push_back(options_.plugin_folder);
  }
  // An empty list hides every GPU from a trainer that computes on the CPU.
  trainer.environment = {
      absl::StrCat("CUDA_VISIBLE_DEVICES=",
                   slot.gpu >= 0 ? absl::StrCat(slot.gpu) : ""),
      absl::StrCat("OMP_NUM_THREADS=", slot.thread_count)};
  return trainer;
}

Agent::~Agent() { Stop().IgnoreError(); }

absl::Status Agent::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
  }
  stop_.Stop();
  OnNews();
  if (thread_.joinable()) thread_.join();
  storage_.Cancel();  // A slot would wait for the call it is in.
  slots_.clear();
  MutexLock lock(&mu_);
  return end_status_;
}

void Agent::OnNews() {
  MutexLock lock(&mu_);
  ++news_count_;
  if (call_ != nullptr && call_waits_) call_->TryCancel();
}

void Agent::Run() {
  absl::Status status = AwaitSlots();
  if (status.ok()) status = SynchronizeUntilStopped();
  if (status.ok()) return;
  HS_LOG(kError, "agent ends why=\"{}\"", status.message());
  // Whatever they train belongs to nobody now.
  storage_.Cancel();
  slots_.clear();
  {
    MutexLock lock(&mu_);
    end_status_ = std::move(status);
  }
  on_end_();
}

// The slots' devices are part of every call, so the first waits for them.
absl::Status Agent::AwaitSlots() {
  MutexLock lock(&mu_);
  mu_.Await([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopping_ ||
           std::all_of(slot_starts_.begin(), slot_starts_.end(),
                       [](const auto& start) { return start.has_value(); });
  });
  if (stopping_) return absl::OkStatus();
  for (auto& start : slot_starts_) {
    HS_RETURN_IF_ERROR(start->status());
    slot_descriptions_.push_back((*start)->slot);
  }
  if (slot_starts_.empty()) return absl::OkStatus();
  const SlotStart& first = **slot_starts_.front();
  for (const auto& start : slot_starts_) {
    const SlotStart& other = **start;
    if (!absl::c_equal(other.plugins, first.plugins, SameBytes)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "slots ", first.slot.name(), " and ", other.slot.name(),
          " have different plug-ins. Did the folder change just now? The log "
          "names those that could not be loaded. Start the worker again"));
    }
  }
  plugins_ = first.plugins;
  refused_plugins_ = first.refused_plugins;
  return absl::OkStatus();
}

absl::Status Agent::SynchronizeUntilStopped() {
  // Nothing was promised yet to a scheduler never spoken to.
  if (slot_descriptions_.empty()) return absl::OkStatus();
  while (!Drained()) {
    const absl::Status status = SynchronizeOnce();
    if (status.ok()) {
      backoff_.Reset();
      continue;
    }
    if (EndsAgent(status)) return status;
    const absl::Duration wait = std::min(
        backoff_.Next(),
        std::min(lease_duration_ / 3, drain_until_ - clock_.Monotonic()));
    HS_LOG(kWarning, "scheduler will be asked again after={} why={}", wait,
           status);
    if (draining_) {
      clock_.WaitFor(wait, StopEvent());
    } else {
      clock_.WaitFor(wait, stop_);
    }
  }
  return absl::OkStatus();
}

// Begins to drain when that is asked for; true when there is nothing left to
// wait for.
bool Agent::Drained() {
  MutexLock lock(&mu_);
  if (!stopping_) return false;
  const absl::Duration now = clock_.Monotonic();
  if (!draining_) {
    HS_LOG(kInfo, "agent drains");
    draining_ = true;
    drain_until_ = now + options_.store_patience + options_.report_patience;
    for (const auto& slot : slots_) slot->HandBack();
  }
  const bool handed_back =
      handed_back_count_ == static_cast<int64_t>(slots_.size());
  if (handed_back) {
    drain_until_ = std::min(drain_until_, now + options_.report_patience);
  }
  const bool nothing_to_tell =
      cluster_id_.empty() || (drain_told_ && board_.empty());
  if (handed_back && nothing_to_tell) return true;
  if (now < drain_until_) return false;
  HS_LOG(kWarning, "agent ends before all was stored and recorded");
  return true;
}

absl::Status Agent::SynchronizeOnce() {
  if (scheduler_ == nullptr) HS_RETURN_IF_ERROR(Connect());
  int64_t news_count = 0;
  {
    MutexLock lock(&mu_);
    news_count = news_count_;
  }
  const v1::SynchronizeRequest request = MakeRequest();
  v1::SynchronizeResponse response;
  const absl::Status status = Call(request, news_count, response);
  if (!status.ok()) {
    MutexLock lock(&mu_);
    // Cancelled for news.
    if (absl::IsCancelled(status) && news_count != news_count_) {
      return absl::OkStatus();
    }
    if (!EndsAgent(status)) scheduler_.reset();  // It may be elsewhere now.
    return status;
  }
  return Obey(response);
}

absl::Status Agent::Connect() {
  std::string address = options_.scheduler_address;
  if (address.empty()) {
    HS_ASSIGN_OR_RETURN(address, ReadEndpointFile(options_.endpoints_from +
                                                  "/scheduler-worker"));
  }
  if (address != connected_to_) {
    HS_LOG(kInfo, "scheduler is at address={}", address);
    connected_to_ = address;
  }
  scheduler_ = v1::WorkerService::NewStub(ConnectTo(address));
  return absl::OkStatus();
}

v1::SynchronizeRequest Agent::MakeRequest() const {
  v1::SynchronizeRequest request;
  request.set_protocol_version(kProtocolVersion);
  request.set_worker(options_.name);
  request.set_incarnation(incarnation_);
  *request.mutable_slots() = {slot_descriptions_.begin(),
                              slot_descriptions_.end()};
  for (const DatasetPresence& dataset :
       ListDatasets(options_.dataset_folders)) {
    if (dataset.missing_files.empty()) {
      request.add_datasets(dataset.name);
    }
  }
  request.add_datasets("synthetic");  // Needs no files.
  *request.mutable_plugins() = {plugins_.begin(), plugins_.end()};
  *request.mutable_refused_plugins() = {refused_plugins_.begin(),
                                        refused_plugins_.end()};
  const std::vector<v1::AttemptStatus> attempts = board_.Statuses();
  *request.mutable_attempts() = {attempts.begin(), attempts.end()};
  // Having seen nothing, it is told at once that it may go.
  request.set_seen_version(draining_ && !drain_told_ ? 0 : seen_version_);
  request.set_draining(draining_);
  return request;
}

absl::Status Agent::Call(const v1::SynchronizeRequest& request,
                         int64_t news_count,
                         v1::SynchronizeResponse& response) {
  const absl::Duration timeout =
      std::min({kCallTimeoutMax, lease_duration_ / 3 + absl::Seconds(5),
                drain_until_ - clock_.Monotonic()});
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoMilliseconds(timeout));
  {
    MutexLock lock(&mu_);
    call_waits_ = !IsAnsweredAtOnce(request);
    if (call_waits_ && news_count != news_count_) {
      return absl::CancelledError("there is news");
    }
    call_ = &context;
  }
  const grpc::Status status =
      scheduler_->Synchronize(&context, request, &response);
  MutexLock lock(&mu_);
  call_ = nullptr;
  return FromGrpcStatus(status);
}

absl::Status Agent::Obey(const v1::SynchronizeResponse& response) {
  if (cluster_id_.empty()) {
    cluster_id_ = response.cluster_id();
    HS_LOG(kInfo, "worker joined name={} cluster={} slots={}", options_.name,
           cluster_id_, slots_.size());
  }
  if (response.cluster_id() != cluster_id_) {
    return absl::FailedPreconditionError(absl::StrCat(
        options_.name, " works for cluster ", cluster_id_,
        ", but the scheduler at ", connected_to_, " now belongs to cluster ",
        response.cluster_id(),
        ". Start the worker again if it is to work for that one."));
  }
  storage_.SetAddress(response.storage_address());
  for (const v1::Acknowledgement& ack : response.acknowledgements()) {
    board_.Acknowledge(ack);
  }
  const absl::Duration lease = absl::Milliseconds(
      google::protobuf::util::TimeUtil::DurationToMilliseconds(
          response.lease_duration()));
  if (lease > absl::ZeroDuration()) lease_duration_ = lease;
  seen_version_ = response.version();
  drain_told_ = draining_;

  for (size_t i = 0; i < slots_.size(); ++i) {
    DesiredWork desired;
    desired.cluster_id = cluster_id_;
    for (const v1::SlotAssignment& assignment : response.assignments()) {
      if (assignment.slot() != options_.slots[i].name) continue;
      if (assignment.has_assignment()) {
        desired.assignment = assignment.assignment();
        desired.release = assignment.release();
      }
    }
    slots_[i]->SetDesired(std::move(desired));
  }
  return absl::OkStatus();
}

}  // namespace headstart::worker
