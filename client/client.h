// The C++ library: one method per call that a headstart cluster answers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/net/call_group.h"
#include "base/random_stream.h"
#include "client/options.h"
#include "headstart/v1/admin_service.grpc.pb.h"
#include "headstart/v1/checkpoint_service.grpc.pb.h"
#include "headstart/v1/comparison_service.grpc.pb.h"
#include "headstart/v1/training_service.grpc.pb.h"
#include "headstart/v1/tuning_service.grpc.pb.h"
#include "storage/blob/blob_store.h"

namespace grpc {
class ClientContext;
}

namespace headstart::client {

// 32 random hex digits: a request_id that nobody else uses.
std::string NewRequestId();

// The user listener of the cluster whose data are in `data_folder`.
//   NotFound  nothing serves them now; the message says how to start it.
absl::StatusOr<std::string> FindServer(const std::string& data_folder);

// Talks to one cluster: to its scheduler, and to its storage where the
// scheduler says that is.
//
// Requests and answers are the protos', whose comments are the manual. Errors
// are passed on as the server gave them. Calls that are answered Unavailable
// are made again for a while (options.h); a request_id that the caller left
// empty is filled in first and stays the same each time, so nothing happens
// twice. A stream that breaks is opened again and goes on.
//
// Any thread may call.
class Client {
 public:
  // Does not connect yet: the first call does.
  explicit Client(ClientOptions options);
  ~Client();

  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Ends calls in progress, and all later ones, with Cancelled.
  void Cancel();

  const std::string& server() const { return options_.server; }

  // Studies and trials.
  absl::StatusOr<v1::CreateStudyResponse> CreateStudy(
      v1::CreateStudyRequest request);
  absl::StatusOr<v1::Study> GetStudy(v1::GetStudyRequest request);
  absl::StatusOr<v1::ListStudiesResponse> ListStudies(
      v1::ListStudiesRequest request);
  absl::Status DeleteStudy(v1::DeleteStudyRequest request);
  absl::StatusOr<v1::Study> PauseStudy(v1::PauseStudyRequest request);
  absl::StatusOr<v1::Study> ResumeStudy(v1::ResumeStudyRequest request);
  absl::StatusOr<v1::Study> CancelStudy(v1::CancelStudyRequest request);
  absl::StatusOr<v1::ReplayStudyResponse> ReplayStudy(
      v1::ReplayStudyRequest request);
  absl::StatusOr<v1::Trial> GetTrial(v1::GetTrialRequest request);
  absl::StatusOr<v1::ListTrialsResponse> ListTrials(
      v1::ListTrialsRequest request);
  absl::StatusOr<v1::ExplainTrialResponse> ExplainTrial(
      v1::ExplainTrialRequest request);
  absl::StatusOr<v1::Trial> StopTrial(v1::StopTrialRequest request);
  absl::StatusOr<v1::Trial> RetryTrial(v1::RetryTrialRequest request);

  // Hands over each state of the study until it and its trainings are over;
  // returns OK then, or as soon as `on_update` returns false.
  absl::Status WatchStudy(
      v1::WatchStudyRequest request,
      absl::FunctionRef<bool(const v1::WatchStudyResponse&)> on_update);

  // Trainings.
  absl::StatusOr<v1::Training> CreateTraining(
      v1::CreateTrainingRequest request);
  absl::StatusOr<v1::Training> GetTraining(v1::GetTrainingRequest request);
  absl::StatusOr<v1::ListTrainingsResponse> ListTrainings(
      v1::ListTrainingsRequest request);
  absl::StatusOr<v1::Training> CancelTraining(
      v1::CancelTrainingRequest request);
  absl::Status DeleteTraining(v1::DeleteTrainingRequest request);
  absl::Status WatchTraining(
      v1::WatchTrainingRequest request,
      absl::FunctionRef<bool(const v1::Training&)> on_update);

  // Comparisons.
  absl::StatusOr<v1::Comparison> CreateComparison(
      v1::CreateComparisonRequest request);
  absl::StatusOr<v1::Comparison> GetComparison(
      v1::GetComparisonRequest request);
  absl::StatusOr<v1::ListComparisonsResponse> ListComparisons(
      v1::ListComparisonsRequest request);
  absl::StatusOr<v1::Comparison> CancelComparison(
      v1::CancelComparisonRequest request);
  absl::Status DeleteComparison(v1::DeleteComparisonRequest request);
  absl::Status WatchComparison(
      v1::WatchComparisonRequest request,
      absl::FunctionRef<bool(const v1::Comparison&)> on_update);
  absl::StatusOr<v1::ComparisonReport> ReportComparison(
      v1::ReportComparisonRequest request);

  // The cluster.
  absl::StatusOr<v1::ServerInfo> GetServerInfo(
      v1::GetServerInfoRequest request);
  absl::StatusOr<v1::ListWorkersResponse> ListWorkers(
      v1::ListWorkersRequest request);
  absl::StatusOr<v1::Worker> CordonWorker(v1::WorkerRequest request);
  absl::StatusOr<v1::Worker> UncordonWorker(v1::WorkerRequest request);
  absl::StatusOr<v1::Worker> DrainWorker(v1::WorkerRequest request);

  // Checkpoints. Storage knows full names only, no studies/1/winner.
  absl::StatusOr<v1::Checkpoint> GetCheckpoint(
      v1::GetCheckpointRequest request);
  absl::StatusOr<v1::ListCheckpointsResponse> ListCheckpoints(
      v1::ListCheckpointsRequest request);
  absl::StatusOr<v1::Checkpoint> PinCheckpoint(
      v1::PinCheckpointRequest request);
  absl::StatusOr<v1::Checkpoint> UnpinCheckpoint(
      v1::UnpinCheckpointRequest request);
  absl::StatusOr<v1::GetUsageResponse> GetUsage(v1::GetUsageRequest request);
  // A person's tensors as a checkpoint: first the blobs that are missing.
  absl::StatusOr<std::vector<storage::Digest>> FindMissingBlobs(
      absl::Span<const storage::Digest> digests);
  absl::Status UploadBlobs(absl::Span<const storage::Blob> blobs);
  absl::StatusOr<v1::Checkpoint> ImportCheckpoint(
      v1::ImportCheckpointRequest request);

  // Hands over the file's bytes in order, each once, from
  // request.offset_bytes on; when the stream breaks it goes on where it was.
  // An error that `on_bytes` returns ends the download and is returned.
  //   DataLoss  the stream ended before the file did.
  absl::Status DownloadCheckpoint(
      v1::DownloadCheckpointRequest request,
      absl::FunctionRef<absl::Status(absl::string_view bytes,
                                     int64_t total_bytes)>
          on_bytes);

  // The store. Both hand over progress; the last answer has `done` set.
  absl::Status VerifyStorage(
      v1::VerifyStorageRequest request,
      absl::FunctionRef<void(const v1::VerifyStorageResponse&)> on_progress);
  absl::Status CompactStorage(
      v1::CompactStorageRequest request,
      absl::FunctionRef<void(const v1::CompactStorageResponse&)> on_progress);

 private:
  class Call;  // A context that Cancel can reach.
  struct Storage;

  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Unary(
      Stub& stub,
      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                   Response*),
      Request request, absl::Duration timeout);
  // The same on the stub of the method's service, for as long as usual.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Ask(
      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                   Response*),
      Request request);

  // One stream after another while they break: `open` makes one, `on_message`
  // takes each message and says whether to go on.
  template <typename Response, typename Open>
  absl::Status Stream(Open open,
                      absl::FunctionRef<bool(const Response&)> on_message);

  absl::Status Retry(absl::FunctionRef<absl::Status()> call);

  // Stubs of the storage server; asks the scheduler for it the first time.
  absl::StatusOr<Storage*> FindStorage();

  const ClientOptions options_;
  const std::unique_ptr<v1::TuningService::Stub> tuning_;
  const std::unique_ptr<v1::TrainingService::Stub> training_;
  const std::unique_ptr<v1::ComparisonService::Stub> comparison_;
  const std::unique_ptr<v1::AdminService::Stub> admin_;

  StopEvent stop_;
  CallGroup blob_calls_;
  Mutex mu_;
  RandomStream random_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<Storage> storage_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<grpc::ClientContext*> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace headstart::client
