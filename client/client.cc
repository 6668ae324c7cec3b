#include "client/client.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>
#include <sys/random.h>

#include <concepts>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/net/grpc_status.h"
#include "base/net/listener.h"
#include "base/status_macros.h"
#include "client/retry.h"
#include "storage/blob/remote_blob_store.h"

namespace headstart::client {
namespace {

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  // A training with many runs and epochs is one long answer.
  arguments.SetMaxReceiveMessageSize(64 << 20);
  // A server that is restarted should be found again within our own retries.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   arguments);
}

std::string RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  // Up to 256 bytes are never cut short.
  const ssize_t read = getrandom(bytes.data(), bytes.size(), 0);
  HS_CHECK_EQ(read, static_cast<ssize_t>(count));
  return bytes;
}

}  // namespace

std::string NewRequestId() { return absl::BytesToHexString(RandomBytes(16)); }

absl::StatusOr<std::string> FindServer(const std::string& data_folder) {
  const std::string file = absl::StrCat(data_folder, "/endpoints/scheduler");
  absl::StatusOr<std::string> server = ReadEndpointFile(file);
  if (absl::IsNotFound(server.status())) {
    return absl::NotFoundError(absl::StrCat(
        "nothing serves the data folder ", data_folder, " (there is no ", file,
        "). Start it with \"headstart up --data ", data_folder,
        "\", name another folder with --data, or a server with --server."));
  }
  return server;
}

struct Client::Storage {
  Storage(const std::string& address, CallGroup* blob_calls)
      : Storage(Connect(address), blob_calls) {}
  Storage(const std::shared_ptr<grpc::Channel>& channel, CallGroup* blob_calls)
      : blobs(channel, {.calls = blob_calls}),
        checkpoints(v1::CheckpointService::NewStub(channel)),
        admin(v1::StorageAdminService::NewStub(channel)) {}

  storage::RemoteBlobStore blobs;
  const std::unique_ptr<v1::CheckpointService::Stub> checkpoints;
  const std::unique_ptr<v1::StorageAdminService::Stub> admin;
};

class Client::Call {
 public:
  explicit Call(Client& client) : client_(client) {
    MutexLock lock(&client_.mu_);
    client_.calls_.insert(&context);
    if (client_.stop_.stopped()) context.TryCancel();
  }
  ~Call() {
    MutexLock lock(&client_.mu_);
    client_.calls_.erase(&context);
  }

  grpc::ClientContext context;

 private:
  Client& client_;
};

Client::Client(ClientOptions options)
    : options_(std::move(options)),
      tuning_(v1::TuningService::NewStub(Connect(options_.server))),
      training_(v1::TrainingService::NewStub(Connect(options_.server))),
      comparison_(v1::ComparisonService::NewStub(Connect(options_.server))),
      admin_(v1::AdminService::NewStub(Connect(options_.server))),
      random_(StableHash(RandomBytes(16))) {}

Client::~Client() = default;

void Client::Cancel() {
  stop_.Stop();
  blob_calls_.Cancel();
  MutexLock lock(&mu_);
  for (grpc::ClientContext* const context : calls_) context->TryCancel();
}

absl::Status Client::Retry(absl::FunctionRef<absl::Status()> call) {
  const RandomStream random = [&] {
    MutexLock lock(&mu_);
    return RandomStream(random_.Bits64());
  }();
  const absl::Status status = RetryWhileUnavailable(
      options_.retry, *options_.clock, stop_, random, call);
  if (absl::IsUnavailable(status)) {
    return absl::UnavailableError(absl::StrCat(
        "no answer for ", absl::FormatDuration(options_.retry.total_max), " (",
        status.message(),
        "). Is the server still running? The scheduler is at ",
        options_.server));
  }
  return status;
}

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Client::Unary(
    Stub& stub,
    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                 Response*),
    Request request, absl::Duration timeout) {
  if constexpr (requires { request.set_request_id(""); }) {
    if (request.request_id().empty()) request.set_request_id(NewRequestId());
  }
  Response response;
  HS_RETURN_IF_ERROR(Retry([&] {
    Call call(*this);
    call.context.set_deadline(
        absl::ToChronoTime(Clock::Real().Now() + timeout));
    response.Clear();
    return FromGrpcStatus((stub.*method)(&call.context, request, &response));
  }));
  return response;
}

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Client::Ask(
    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                 Response*),
    Request request) {
  const absl::Duration timeout = options_.call_timeout;
  if constexpr (std::same_as<Stub, v1::TuningService::Stub>) {
    return Unary(*tuning_, method, std::move(request), timeout);
  } else if constexpr (std::same_as<Stub, v1::TrainingService::Stub>) {
    return Unary(*training_, method, std::move(request), timeout);
  } else if constexpr (std::same_as<Stub, v1::ComparisonService::Stub>) {
    return Unary(*comparison_, method, std::move(request), timeout);
  } else if constexpr (std::same_as<Stub, v1::AdminService::Stub>) {
    return Unary(*admin_, method, std::move(request), timeout);
  } else {
    HS_ASSIGN_OR_RETURN(Storage* const storage, FindStorage());
    return Unary(*storage->checkpoints, method, std::move(request), timeout);
  }
}

template <typename Response, typename Open>
absl::Status Client::Stream(
    Open open, absl::FunctionRef<bool(const Response&)> on_message) {
  // What arrived shows that the server is there: after it the time for
  // repetitions begins anew.
  bool open_again = true;
  while (open_again) {
    open_again = false;
    HS_RETURN_IF_ERROR(Retry([&] {
      Call call(*this);
      const auto reader = open(&call.context);
      bool has_messages = false;
      Response response;
      while (reader->Read(&response)) {
        has_messages = true;
        if (on_message(response)) continue;
        call.context.TryCancel();
        reader->Finish().IgnoreError();
        return absl::OkStatus();
      }
      const absl::Status status = FromGrpcStatus(reader->Finish());
      open_again = has_messages && absl::IsUnavailable(status);
      return open_again ? absl::OkStatus() : status;
    }));
  }
  return absl::OkStatus();
}

absl::StatusOr<Client::Storage*> Client::FindStorage() {
  {
    MutexLock lock(&mu_);
    if (storage_ != nullptr) return storage_.get();
  }
  HS_ASSIGN_OR_RETURN(const v1::ServerInfo info, GetServerInfo({}));
  if (info.storage_address().empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the scheduler at ", options_.server, " was started without storage"));
  }
  MutexLock lock(&mu_);
  if (storage_ == nullptr) {
    storage_ = std::make_unique<Storage>(info.storage_address(), &blob_calls_);
  }
  return storage_.get();
}

absl::StatusOr<v1::CreateStudyResponse> Client::CreateStudy(
    v1::CreateStudyRequest request) {
  return Ask(&v1::TuningService::Stub::CreateStudy, std::move(request));
}
absl::StatusOr<v1::Study> Client::GetStudy(v1::GetStudyRequest request) {
  return Ask(&v1::TuningService::Stub::GetStudy, std::move(request));
}
absl::StatusOr<v1::ListStudiesResponse> Client::ListStudies(
    v1::ListStudiesRequest request) {
  return Ask(&v1::TuningService::Stub::ListStudies, std::move(request));
}
absl::Status Client::DeleteStudy(v1::DeleteStudyRequest request) {
  return Ask(&v1::TuningService::Stub::DeleteStudy, std::move(request))
      .status();
}
absl::StatusOr<v1::Study> Client::PauseStudy(v1::PauseStudyRequest request) {
  return Ask(&v1::TuningService::Stub::PauseStudy, std::move(request));
}
absl::StatusOr<v1::Study> Client::ResumeStudy(v1::ResumeStudyRequest request) {
  return Ask(&v1::TuningService::Stub::ResumeStudy, std::move(request));
}
absl::StatusOr<v1::Study> Client::CancelStudy(v1::CancelStudyRequest request) {
  return Ask(&v1::TuningService::Stub::CancelStudy, std::move(request));
}
absl::StatusOr<v1::ReplayStudyResponse> Client::ReplayStudy(
    v1::ReplayStudyRequest request) {
  return Unary(*tuning_, &v1::TuningService::Stub::ReplayStudy,
               std::move(request), options_.replay_timeout);
}
absl::StatusOr<v1::Trial> Client::GetTrial(v1::GetTrialRequest request) {
  return Ask(&v1::TuningService::Stub::GetTrial, std::move(request));
}
absl::StatusOr<v1::ListTrialsResponse> Client::ListTrials(
    v1::ListTrialsRequest request) {
  return Ask(&v1::TuningService::Stub::ListTrials, std::move(request));
}
absl::StatusOr<v1::ExplainTrialResponse> Client::ExplainTrial(
    v1::ExplainTrialRequest request) {
  return Ask(&v1::TuningService::Stub::ExplainTrial, std::move(request));
}
absl::StatusOr<v1::Trial> Client::StopTrial(v1::StopTrialRequest request) {
  return Ask(&v1::TuningService::Stub::StopTrial, std::move(request));
}
absl::StatusOr<v1::Trial> Client::RetryTrial(v1::RetryTrialRequest request) {
  return Ask(&v1::TuningService::Stub::RetryTrial, std::move(request));
}
absl::Status Client::WatchStudy(
    v1::WatchStudyRequest request,
    absl::FunctionRef<bool(const v1::WatchStudyResponse&)> on_update) {
  return Stream<v1::WatchStudyResponse>(
      [&](grpc::ClientContext* context) {
        return tuning_->WatchStudy(context, request);
      },
      on_update);
}

absl::StatusOr<v1::Training> Client::CreateTraining(
    v1::CreateTrainingRequest request) {
  return Ask(&v1::TrainingService::Stub::CreateTraining, std::move(request));
}
absl::StatusOr<v1::Training> Client::GetTraining(
    v1::GetTrainingRequest request) {
  return Ask(&v1::TrainingService::Stub::GetTraining, std::move(request));
}
absl::StatusOr<v1::ListTrainingsResponse> Client::ListTrainings(
    v1::ListTrainingsRequest request) {
  return Ask(&v1::TrainingService::Stub::ListTrainings, std::move(request));
}
absl::StatusOr<v1::Training> Client::CancelTraining(
    v1::CancelTrainingRequest request) {
  return Ask(&v1::TrainingService::Stub::CancelTraining, std::move(request));
}
absl::Status Client::DeleteTraining(v1::DeleteTrainingRequest request) {
  return Ask(&v1::TrainingService::Stub::DeleteTraining, std::move(request))
      .status();
}
absl::Status Client::WatchTraining(
    v1::WatchTrainingRequest request,
    absl::FunctionRef<bool(const v1::Training&)> on_update) {
  return Stream<v1::Training>(
      [&](grpc::ClientContext* context) {
        return training_->WatchTraining(context, request);
      },
      on_update);
}

absl::StatusOr<v1::Comparison> Client::CreateComparison(
    v1::CreateComparisonRequest request) {
  return Ask(&v1::ComparisonService::Stub::CreateComparison,
             std::move(request));
}
absl::StatusOr<v1::Comparison> Client::GetComparison(
    v1::GetComparisonRequest request) {
  return Ask(&v1::ComparisonService::Stub::GetComparison, std::move(request));
}
absl::StatusOr<v1::ListComparisonsResponse> Client::ListComparisons(
    v1::ListComparisonsRequest request) {
  return Ask(&v1::ComparisonService::Stub::ListComparisons, std::move(request));
}
absl::StatusOr<v1::Comparison> Client::CancelComparison(
    v1::CancelComparisonRequest request) {
  return Ask(&v1::ComparisonService::Stub::CancelComparison,
             std::move(request));
}
absl::Status Client::DeleteComparison(v1::DeleteComparisonRequest request) {
  return Ask(&v1::ComparisonService::Stub::DeleteComparison, std::move(request))
      .status();
}
absl::Status Client::WatchComparison(
    v1::WatchComparisonRequest request,
    absl::FunctionRef<bool(const v1::Comparison&)> on_update) {
  return Stream<v1::Comparison>(
      [&](grpc::ClientContext* context) {
        return comparison_->WatchComparison(context, request);
      },
      on_update);
}
absl::StatusOr<v1::ComparisonReport> Client::ReportComparison(
    v1::ReportComparisonRequest request) {
  return Ask(&v1::ComparisonService::Stub::ReportComparison,
             std::move(request));
}

absl::StatusOr<v1::ServerInfo> Client::GetServerInfo(
    v1::GetServerInfoRequest request) {
  return Ask(&v1::AdminService::Stub::GetServerInfo, std::move(request));
}
absl::StatusOr<v1::ListWorkersResponse> Client::ListWorkers(
    v1::ListWorkersRequest request) {
  return Ask(&v1::AdminService::Stub::ListWorkers, std::move(request));
}
absl::StatusOr<v1::Worker> Client::CordonWorker(v1::WorkerRequest request) {
  return Ask(&v1::AdminService::Stub::CordonWorker, std::move(request));
}
absl::StatusOr<v1::Worker> Client::UncordonWorker(v1::WorkerRequest request) {
  return Ask(&v1::AdminService::Stub::UncordonWorker, std::move(request));
}
absl::StatusOr<v1::Worker> Client::DrainWorker(v1::WorkerRequest request) {
  return Ask(&v1::AdminService::Stub::DrainWorker, std::move(request));
}

absl::StatusOr<v1::Checkpoint> Client::GetCheckpoint(
    v1::GetCheckpointRequest request) {
  return Ask(&v1::CheckpointService::Stub::GetCheckpoint, std::move(request));
}
absl::StatusOr<v1::ListCheckpointsResponse> Client::ListCheckpoints(
    v1::ListCheckpointsRequest request) {
  return Ask(&v1::CheckpointService::Stub::ListCheckpoints, std::move(request));
}
absl::StatusOr<v1::Checkpoint> Client::PinCheckpoint(
    v1::PinCheckpointRequest request) {
  return Ask(&v1::CheckpointService::Stub::PinCheckpoint, std::move(request));
}
absl::StatusOr<v1::Checkpoint> Client::UnpinCheckpoint(
    v1::UnpinCheckpointRequest request) {
  return Ask(&v1::CheckpointService::Stub::UnpinCheckpoint, std::move(request));
}
absl::StatusOr<v1::GetUsageResponse> Client::GetUsage(
    v1::GetUsageRequest request) {
  return Ask(&v1::CheckpointService::Stub::GetUsage, std::move(request));
}

absl::StatusOr<std::vector<storage::Digest>> Client::FindMissingBlobs(
    absl::Span<const storage::Digest> digests) {
  HS_ASSIGN_OR_RETURN(Storage* const storage, FindStorage());
  std::vector<storage::Digest> missing;
  HS_RETURN_IF_ERROR(Retry([&]() -> absl::Status {
    HS_ASSIGN_OR_RETURN(missing, storage->blobs.FindMissing(digests));
    return absl::OkStatus();
  }));
  return missing;
}
absl::Status Client::UploadBlobs(absl::Span<const storage::Blob> blobs) {
  HS_ASSIGN_OR_RETURN(Storage* const storage, FindStorage());
  return Retry([&] { return storage->blobs.PutAll(blobs); });
}
absl::StatusOr<v1::Checkpoint> Client::ImportCheckpoint(
    v1::ImportCheckpointRequest request) {
  return Ask(&v1::CheckpointService::Stub::ImportCheckpoint,
             std::move(request));
}

absl::Status Client::DownloadCheckpoint(
    v1::DownloadCheckpointRequest request,
    absl::FunctionRef<absl::Status(absl::string_view bytes,
                                   int64_t total_bytes)>
        on_bytes) {
  HS_ASSIGN_OR_RETURN(Storage* const storage, FindStorage());
  absl::Status written;
  int64_t total_bytes = -1;  // Until storage has said it.
  HS_RETURN_IF_ERROR(Stream<v1::DownloadCheckpointResponse>(
      [&](grpc::ClientContext* context) {
        return storage->checkpoints->DownloadCheckpoint(context, request);
      },
      [&](const v1::DownloadCheckpointResponse& part) {
        if (part.total_bytes() > 0) total_bytes = part.total_bytes();
        written = on_bytes(part.data(), total_bytes);
        request.set_offset_bytes(request.offset_bytes() + part.data().size());
        return written.ok();
      }));
  HS_RETURN_IF_ERROR(written);
  if (request.offset_bytes() != total_bytes) {
    return absl::DataLossError(
        absl::StrCat(request.name(), ": the download ended after ",
                     request.offset_bytes(), " of ", total_bytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status Client::VerifyStorage(
    v1::VerifyStorageRequest request,
    absl::FunctionRef<void(const v1::VerifyStorageResponse&)> on_progress) {
  HS_ASSIGN_OR_RETURN(Storage* const storage, FindStorage());
  return Stream<v1::VerifyStorageResponse>(
      [&](grpc::ClientContext* context) {
        return storage->admin->VerifyStorage(context, request);
      },
      [&](const v1::VerifyStorageResponse& progress) {
        on_progress(progress);
        return true;
      });
}

absl::Status Client::CompactStorage(
    v1::CompactStorageRequest request,
    absl::FunctionRef<void(const v1::CompactStorageResponse&)> on_progress) {
  HS_ASSIGN_OR_RETURN(Storage* const storage, FindStorage());
  return Stream<v1::CompactStorageResponse>(
      [&](grpc::ClientContext* context) {
        return storage->admin->CompactStorage(context, request);
      },
      [&](const v1::CompactStorageResponse& progress) {
        on_progress(progress);
        return true;
      });
}

}  // namespace headstart::client
