#include "scheduler/service/storage_link.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/names.h"
#include "base/net/grpc_status.h"
#include "base/net/listener.h"
#include "base/status_macros.h"
#include "scheduler/core/sources.h"

namespace headstart::scheduler {
namespace {

// Of one message: references or horizons. About 100 bytes each.
constexpr int kPartMax = 2'000;
// Told again in one period.
constexpr size_t kRestatedOwnersMax = 200;
// A change waits this long for others to go with it, and longer when the last
// sets were large: then storage has something else to do as well.
constexpr absl::Duration kGatherTimeMin = absl::Milliseconds(100);
constexpr absl::Duration kGatherTimePerReference = absl::Microseconds(20);
constexpr absl::Duration kBackoffMin = absl::Milliseconds(500);
constexpr absl::Duration kBackoffMax = absl::Seconds(15);
constexpr absl::Duration kCallTimeout = absl::Seconds(10);
constexpr size_t kReportedMissingMax = 1'000;

std::chrono::system_clock::time_point CallDeadline() {
  return std::chrono::system_clock::now() +
         absl::ToChronoMilliseconds(kCallTimeout);
}

// "0 to 5", or "0, 2 and 5".
std::string EpochsInWords(const std::vector<int64_t>& epochs) {
  if (epochs.size() > 1 && epochs.back() - epochs.front() + 1 ==
                               static_cast<int64_t>(epochs.size())) {
    return absl::StrCat(epochs.front(), " to ", epochs.back());
  }
  std::string words;
  for (size_t i = 0; i < epochs.size(); ++i) {
    absl::StrAppend(&words,
                    i == 0                   ? ""
                    : i + 1 == epochs.size() ? " and "
                                             : ", ",
                    epochs[i]);
  }
  return words;
}

// Whether the next owner would meet the same error.
bool ConcernsAllOwners(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsFailedPrecondition(status) || absl::IsCancelled(status);
}

}  // namespace

// What one owner wants, as of one moment.
struct StorageLink::Statement {
  int64_t sequence = 0;
  WantedReferences wanted;
  // Of a PREPARING training; such a one has some.
  std::vector<std::string> sources;
};

StorageLink::StorageLink(StorageLinkOptions options, Engine& engine)
    : options_(std::move(options)), engine_(engine) {}

StorageLink::~StorageLink() { Stop(); }

void StorageLink::Start() {
  thread_ = std::thread([this] { Run(); });
}

void StorageLink::Stop() {
  {
    MutexLock lock(&mu_);
    stopped_ = true;
    if (call_ != nullptr) call_->TryCancel();
    if (wait_ != 0) engine_.EndWait(wait_);
  }
  if (thread_.joinable()) thread_.join();
}

void StorageLink::Run() {
  bool timed_out = false;
  absl::Status status;
  do {
    status = Connect();
    if (status.ok()) status = StateChangedOwners();
    if (status.ok() && timed_out) status = StateNextOwners();
    NoteTrouble(status);
  } while (AwaitReason(status, &timed_out));
}

absl::Status StorageLink::Connect() {
  std::string address = options_.address;
  if (address.empty()) {
    absl::StatusOr<std::string> read = ReadEndpointFile(options_.endpoint_file);
    if (!read.ok()) {
      return absl::UnavailableError(absl::StrCat(
          "storage has not said where it is: ", read.status().message()));
    }
    address = *std::move(read);
  }
  MutexLock lock(&mu_);
  if (connection_ != nullptr && connection_->address == address) {
    return absl::OkStatus();
  }
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  const std::shared_ptr<grpc::Channel> channel = grpc::CreateCustomChannel(
      address, grpc::InsecureChannelCredentials(), arguments);
  connection_ = std::make_shared<Connection>(
      Connection{.address = address,
                 .references = v1::ReferenceService::NewStub(channel),
                 .checkpoints = v1::CheckpointService::NewStub(channel)});
  return absl::OkStatus();
}

absl::Status StorageLink::StateChangedOwners() {
  sent_count_ = 0;
  std::vector<std::pair<std::string, int64_t>> owners;
  HS_RETURN_IF_ERROR(engine_.ReadAndWait([&](const EngineView& view) {
    owners = view.scheduler.OwnersChangedSince(stated_generation_);
    return absl::OkStatus();
  }));
  absl::Status first_error;
  for (const auto& [owner, generation] : owners) {
    const absl::Status stated = StateOwner(owner);
    first_error.Update(stated);
    if (ConcernsAllOwners(stated)) break;
    if (first_error.ok()) stated_generation_ = generation;
  }
  // It may have forgotten everything when it is back.
  if (!first_error.ok()) stated_generation_ = 0;
  return first_error;
}

absl::Status StorageLink::StateNextOwners() {
  std::vector<std::pair<std::string, int64_t>> owners;
  HS_RETURN_IF_ERROR(engine_.ReadAndWait([&](const EngineView& view) {
    owners = view.scheduler.OwnersChangedSince(restated_generation_);
    return absl::OkStatus();
  }));
  const bool wraps = owners.size() <= kRestatedOwnersMax;
  if (!wraps) owners.resize(kRestatedOwnersMax);
  for (const auto& [owner, generation] : owners) {
    HS_RETURN_IF_ERROR(StateOwner(owner));
    restated_generation_ = generation;
  }
  if (wraps) restated_generation_ = 0;
  return absl::OkStatus();
}

absl::Status StorageLink::StateOwner(const std::string& owner) {
  Statement statement;
  HS_RETURN_IF_ERROR(
      engine_.ReadAndWait([&](const EngineView& view) -> absl::Status {
        HS_ASSIGN_OR_RETURN(statement.wanted,
                            view.scheduler.GetWantedReferences(owner));
        statement.sequence = view.scheduler.event_count();
        const std::vector<std::string> preparing =
            view.scheduler.PreparingTrainings();
        if (std::find(preparing.begin(), preparing.end(), owner) !=
            preparing.end()) {
          HS_ASSIGN_OR_RETURN(const v1::Training training,
                              view.scheduler.GetTraining(owner));
          for (const CheckpointName& source : SourcesOf(training)) {
            statement.sources.push_back(source.ToString());
          }
        }
        return absl::OkStatus();
      }));
  absl::btree_set<std::string> missing;
  HS_RETURN_IF_ERROR(Send(statement, &missing));
  if (!statement.sources.empty()) {
    AnswerPreparing(statement, missing);
  } else {
    for (const std::string& checkpoint : missing) {
      if (reported_missing_.size() >= kReportedMissingMax) {
        reported_missing_.clear();
      }
      if (!reported_missing_.insert(checkpoint).second) continue;
      HS_LOG(kWarning, "storage lacks a checkpoint checkpoint={} owner={}",
             checkpoint, owner);
    }
  }
  return absl::OkStatus();
}

absl::Status StorageLink::Send(const Statement& statement,
                               absl::btree_set<std::string>* missing) {
  const WantedReferences& wanted = statement.wanted;
  const auto reference_count = static_cast<int>(wanted.references.size());
  const auto horizon_count = static_cast<int>(wanted.horizons.size());
  sent_count_ += reference_count;
  for (int begin = 0;; begin += kPartMax) {
    const int end = begin + kPartMax;
    v1::SetReferencesRequest request;
    request.set_cluster_id(engine_.cluster_id());
    request.set_scheduler_sequence(statement.sequence);
    request.set_owner(wanted.owner);
    request.set_generation(wanted.generation);
    request.set_deleted(wanted.deleted);
    for (int i = begin; i < std::min(end, reference_count); ++i) {
      *request.add_references() = wanted.references[i];
    }
    for (int i = begin; i < std::min(end, horizon_count); ++i) {
      *request.add_horizons() = wanted.horizons[i];
    }
    request.set_part(begin / kPartMax);
    request.set_more(end < std::max(reference_count, horizon_count));

    grpc::ClientContext context;
    context.set_deadline(CallDeadline());
    std::shared_ptr<Connection> connection;
    {
      MutexLock lock(&mu_);
      if (stopped_) return absl::CancelledError("stopped");
      call_ = &context;
      connection = connection_;
    }
    v1::SetReferencesResponse response;
    const grpc::Status status =
        connection->references->SetReferences(&context, request, &response);
    {
      MutexLock lock(&mu_);
      call_ = nullptr;
    }
    if (!status.ok()) {
      return Annotate(FromGrpcStatus(status),
                      absl::StrCat("storage at ", connection->address));
    }
    missing->insert(response.missing().begin(), response.missing().end());
    if (!request.more()) return absl::OkStatus();
  }
}

void StorageLink::AnswerPreparing(const Statement& statement,
                                  const absl::btree_set<std::string>& missing) {
  const std::string& training = statement.wanted.owner;
  Command command = SourceConfirmed{.training = training};
  const auto gone = std::ranges::find_if(
      statement.sources,
      [&](const std::string& source) { return missing.contains(source); });
  if (gone != statement.sources.end()) {
    command = SourceMissing{
        .training = training,
        .message = absl::StrCat(
            *gone,
            " is not in storage any more. Start from a checkpoint that "
            "\"headstart checkpoints list\" names.")};
  }
  // A refusal (a full queue) is made good when this owner is stated again.
  engine_.Submit(
      std::move(command),
      [](const EngineView&, const Outcome&) { return absl::OkStatus(); },
      [training](const absl::Status& status) {
        if (status.ok()) return;
        HS_LOG(kWarning, "source not recorded training={} status={}", training,
               status);
      });
}

void StorageLink::NoteTrouble(const absl::Status& status) {
  failure_count_ = status.ok() ? 0 : failure_count_ + 1;
  std::string trouble;
  if (!status.ok()) {
    trouble = absl::StrCat("Storage keeps nothing new and lets nothing go: ",
                           absl::string_view(status.message()));
  }
  bool changed = false;
  {
    MutexLock lock(&mu_);
    if (stopped_) return;
    changed = trouble_ != trouble;
    if (changed) ++trouble_count_;
    trouble_ = trouble;
  }
  if (!changed) return;
  if (status.ok()) {
    HS_LOG(kInfo, "storage takes references again address={}", address());
  } else {
    HS_LOG(kWarning, "storage takes no references status={}", status);
  }
}

bool StorageLink::AwaitReason(const absl::Status& last, bool* timed_out) {
  WaitRequest request;
  std::optional<WaitEnd> ended;
  if (last.ok()) {
    request.not_before =
        std::max(kGatherTimeMin, sent_count_ * kGatherTimePerReference);
    request.timeout = options_.restate_period;
    request.ready = [this](const EngineView& view) {
      return !view.scheduler.OwnersChangedSince(stated_generation_).empty();
    };
  } else {
    absl::Duration backoff = kBackoffMin;
    for (int64_t i = 1; i < failure_count_ && backoff < kBackoffMax; ++i) {
      backoff *= 2;
    }
    request.not_before = std::min(backoff, kBackoffMax);
    request.ready = [](const EngineView&) { return true; };
  }
  request.then = [this, &ended](const EngineView&, WaitEnd end) {
    MutexLock lock(&mu_);
    ended = end;
  };
  MutexLock lock(&mu_);
  if (stopped_) return false;
  const absl::StatusOr<int64_t> wait = engine_.Wait(std::move(request));
  if (!wait.ok()) return false;
  wait_ = *wait;
  mu_.Await([&ended] { return ended.has_value(); });
  wait_ = 0;
  *timed_out = *ended == WaitEnd::kTimeout;
  return !stopped_ && *ended != WaitEnd::kEnded;
}

std::string StorageLink::address() const {
  MutexLock lock(&mu_);
  return connection_ != nullptr ? connection_->address : options_.address;
}

std::string StorageLink::trouble() const {
  MutexLock lock(&mu_);
  return trouble_;
}

void StorageLink::AddTrouble(std::string& state_message) const {
  const std::string text = trouble();
  if (text.empty()) return;
  state_message.append(state_message.empty() ? "" : " ").append(text);
}

int64_t StorageLink::trouble_count() const {
  MutexLock lock(&mu_);
  return trouble_count_;
}

namespace {

// A GetCheckpoint for each name and, where there is none, a look at what there
// is instead. Lives until it has called `done`.
class CheckpointCheck : public std::enable_shared_from_this<CheckpointCheck> {
 public:
  CheckpointCheck(std::shared_ptr<v1::CheckpointService::Stub> stub,
                  std::vector<std::string> names,
                  absl::AnyInvocable<void(absl::Status)> done)
      : stub_(std::move(stub)),
        names_(std::move(names)),
        done_(std::move(done)) {}

  void AskNext() {
    if (next_ == names_.size()) {
      done_(absl::OkStatus());
      return;
    }
    call_ = std::make_unique<Call>(names_[next_++]);
    stub_->async()->GetCheckpoint(
        &call_->context, &call_->get, &call_->checkpoint,
        [self = shared_from_this()](const grpc::Status& status) {
          if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
            self->ListEpochs();
          } else {
            self->AskNext();
          }
        });
  }

 private:
  struct Call {
    explicit Call(const std::string& name) {
      context.set_deadline(CallDeadline());
      get.set_name(name);
    }
    grpc::ClientContext context;
    v1::GetCheckpointRequest get;
    v1::Checkpoint checkpoint;
    v1::ListCheckpointsRequest list;
    v1::ListCheckpointsResponse listed;
  };

  void ListEpochs() {
    const absl::StatusOr<CheckpointName> name =
        CheckpointName::Parse(call_->get.name());
    if (!name.ok()) {
      done_(name.status());
      return;
    }
    if (name->run.kind == RunKind::kImport) {
      done_(absl::NotFoundError(absl::StrCat(
          "There is no ", name->run.ToString(),
          ". \"headstart checkpoints list imports\" names what there is.")));
      return;
    }
    call_ = std::make_unique<Call>(call_->get.name());
    call_->list.set_parent(name->run.ToString());
    call_->list.set_page_size(1'000);
    stub_->async()->ListCheckpoints(
        &call_->context, &call_->list, &call_->listed,
        [self = shared_from_this(), name = *name](const grpc::Status& status) {
          std::string there;
          if (status.ok()) {
            const auto& listed = self->call_->listed.checkpoints();
            std::vector<int64_t> epochs;
            for (const v1::Checkpoint& each : listed) {
              epochs.push_back(each.epoch());
            }
            there = epochs.empty()
                        ? "; it has none any more"
                        : absl::StrCat("; there are ", EpochsInWords(epochs));
          }
          self->done_(absl::NotFoundError(
              absl::StrCat(name.run.ToString(), " has no checkpoint of epoch ",
                           name.epoch, there, ".")));
        });
  }

  const std::shared_ptr<v1::CheckpointService::Stub> stub_;
  const std::vector<std::string> names_;
  absl::AnyInvocable<void(absl::Status)> done_;
  size_t next_ = 0;
  std::unique_ptr<Call> call_;
};

}  // namespace

void StorageLink::CheckCheckpoints(
    std::vector<std::string> names,
    absl::AnyInvocable<void(absl::Status)> done) {
  std::shared_ptr<Connection> connection;
  {
    MutexLock lock(&mu_);
    connection = connection_;
  }
  if (connection == nullptr || names.empty()) {
    done(absl::OkStatus());
    return;
  }
  std::shared_ptr<v1::CheckpointService::Stub> stub(
      connection, connection->checkpoints.get());
  std::make_shared<CheckpointCheck>(std::move(stub), std::move(names),
                                    std::move(done))
      ->AskNext();
}

}  // namespace headstart::scheduler
