#include "tests/support/fake_cluster.h"

#include <grpcpp/server_context.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/net/grpc_status.h"
#include "headstart/v1/admin_service.grpc.pb.h"
#include "headstart/v1/checkpoint_service.grpc.pb.h"
#include "headstart/v1/comparison_service.grpc.pb.h"
#include "headstart/v1/training_service.grpc.pb.h"
#include "headstart/v1/tuning_service.grpc.pb.h"

namespace headstart {

using google::protobuf::Empty;
using grpc::ServerContext;
using grpc::ServerReader;
using grpc::ServerWriter;

// One line per method: what it is asked and what it answers are the script's.
#define HS_UNARY(method, request, response)                                   \
  grpc::Status method(ServerContext*, const request* asked, response* answer) \
      override {                                                              \
    return Unary(#method, *asked, *answer);                                   \
  }
#define HS_STREAM(method, request, response)                     \
  grpc::Status method(ServerContext*, const request* asked,      \
                      ServerWriter<response>* writer) override { \
    return Stream(#method, *asked, *writer);                     \
  }

// What the services' methods have in common.
class FakeServices {
 public:
  explicit FakeServices(FakeCluster& cluster)
      : tuning(cluster),
        training(cluster),
        comparison(cluster),
        admin(cluster),
        checkpoints(cluster),
        blobs(cluster),
        storage_admin(cluster) {}

  struct Base {
    explicit Base(FakeCluster& cluster) : cluster(cluster) {}

    template <typename Response>
    grpc::Status Unary(const char* method,
                       const google::protobuf::Message& request,
                       Response& response) {
      const FakeCluster::Script script = cluster.Next(method, request);
      if (!script.messages.empty()) {
        HS_CHECK(response.ParseFromString(script.messages[0]));
      }
      return ToGrpcStatus(script.status);
    }

    template <typename Response>
    grpc::Status Stream(const char* method,
                        const google::protobuf::Message& request,
                        ServerWriter<Response>& writer) {
      const FakeCluster::Script script = cluster.Next(method, request);
      for (const std::string& bytes : script.messages) {
        Response response;
        HS_CHECK(response.ParseFromString(bytes));
        if (!writer.Write(response)) break;
      }
      return ToGrpcStatus(script.status);
    }

    FakeCluster& cluster;
  };

  struct Tuning final : v1::TuningService::Service, Base {
    using Base::Base;
    HS_UNARY(CreateStudy, v1::CreateStudyRequest, v1::CreateStudyResponse)
    HS_UNARY(GetStudy, v1::GetStudyRequest, v1::Study)
    HS_UNARY(ListStudies, v1::ListStudiesRequest, v1::ListStudiesResponse)
    HS_UNARY(DeleteStudy, v1::DeleteStudyRequest, Empty)
    HS_UNARY(PauseStudy, v1::PauseStudyRequest, v1::Study)
    HS_UNARY(ResumeStudy, v1::ResumeStudyRequest, v1::Study)
    HS_UNARY(CancelStudy, v1::CancelStudyRequest, v1::Study)
    HS_STREAM(WatchStudy, v1::WatchStudyRequest, v1::WatchStudyResponse)
    HS_UNARY(GetTrial, v1::GetTrialRequest, v1::Trial)
    HS_UNARY(ListTrials, v1::ListTrialsRequest, v1::ListTrialsResponse)
    HS_UNARY(ExplainTrial, v1::ExplainTrialRequest, v1::ExplainTrialResponse)
    HS_UNARY(StopTrial, v1::StopTrialRequest, v1::Trial)
    HS_UNARY(RetryTrial, v1::RetryTrialRequest, v1::Trial)
    HS_UNARY(ReplayStudy, v1::ReplayStudyRequest, v1::ReplayStudyResponse)
  };

  struct Training final : v1::TrainingService::Service, Base {
    using Base::Base;
    HS_UNARY(CreateTraining, v1::CreateTrainingRequest, v1::Training)
    HS_UNARY(GetTraining, v1::GetTrainingRequest, v1::Training)
    HS_UNARY(ListTrainings, v1::ListTrainingsRequest, v1::ListTrainingsResponse)
    HS_UNARY(CancelTraining, v1::CancelTrainingRequest, v1::Training)
    HS_UNARY(DeleteTraining, v1::DeleteTrainingRequest, Empty)
    HS_STREAM(WatchTraining, v1::WatchTrainingRequest, v1::Training)
  };

  struct Comparison final : v1::ComparisonService::Service, Base {
    using Base::Base;
    HS_UNARY(CreateComparison, v1::CreateComparisonRequest, v1::Comparison)
    HS_UNARY(GetComparison, v1::GetComparisonRequest, v1::Comparison)
    HS_UNARY(ListComparisons, v1::ListComparisonsRequest,
             v1::ListComparisonsResponse)
    HS_UNARY(CancelComparison, v1::CancelComparisonRequest, v1::Comparison)
    HS_UNARY(DeleteComparison, v1::DeleteComparisonRequest, Empty)
    HS_STREAM(WatchComparison, v1::WatchComparisonRequest, v1::Comparison)
    HS_UNARY(ReportComparison, v1::ReportComparisonRequest,
             v1::ComparisonReport)
  };

  struct Admin final : v1::AdminService::Service, Base {
    using Base::Base;
    grpc::Status GetServerInfo(ServerContext*, const v1::GetServerInfoRequest*,
                               v1::ServerInfo* info) override {
      info->set_version("0.1.0");
      info->set_storage_address(cluster.address());
      return grpc::Status::OK;
    }
    HS_UNARY(ListWorkers, v1::ListWorkersRequest, v1::ListWorkersResponse)
    HS_UNARY(CordonWorker, v1::WorkerRequest, v1::Worker)
    HS_UNARY(UncordonWorker, v1::WorkerRequest, v1::Worker)
    HS_UNARY(DrainWorker, v1::WorkerRequest, v1::Worker)
  };

  struct Checkpoints final : v1::CheckpointService::Service, Base {
    using Base::Base;
    HS_UNARY(GetCheckpoint, v1::GetCheckpointRequest, v1::Checkpoint)
    HS_UNARY(ListCheckpoints, v1::ListCheckpointsRequest,
             v1::ListCheckpointsResponse)
    HS_UNARY(ImportCheckpoint, v1::ImportCheckpointRequest, v1::Checkpoint)
    HS_UNARY(PinCheckpoint, v1::PinCheckpointRequest, v1::Checkpoint)
    HS_UNARY(UnpinCheckpoint, v1::UnpinCheckpointRequest, v1::Checkpoint)
    HS_UNARY(GetUsage, v1::GetUsageRequest, v1::GetUsageResponse)

    grpc::Status DownloadCheckpoint(
        ServerContext*, const v1::DownloadCheckpointRequest* asked,
        ServerWriter<v1::DownloadCheckpointResponse>* writer) override {
      const FakeCluster::Script script =
          cluster.Next("DownloadCheckpoint", *asked);
      MutexLock lock(&cluster.mu_);
      if (cluster.file_.empty()) return ToGrpcStatus(script.status);
      const auto size = static_cast<int64_t>(cluster.file_.size());
      int64_t offset = asked->offset_bytes();
      for (int64_t part = 0; offset < size; ++part) {
        if (part == cluster.parts_per_stream_) {
          return grpc::Status(grpc::StatusCode::UNAVAILABLE, "restarting");
        }
        v1::DownloadCheckpointResponse response;
        if (part == 0) response.set_total_bytes(size);
        response.set_data(cluster.file_.substr(offset, cluster.part_bytes_));
        offset += static_cast<int64_t>(response.data().size());
        writer->Write(response);
      }
      return grpc::Status::OK;
    }
  };

  struct Blobs final : v1::BlobService::Service, Base {
    using Base::Base;

    grpc::Status FindMissingBlobs(
        ServerContext*, const v1::FindMissingBlobsRequest* asked,
        v1::FindMissingBlobsResponse* response) override {
      MutexLock lock(&cluster.mu_);
      for (const std::string& digest : asked->digests()) {
        if (!cluster.blobs_.contains(digest)) response->add_missing(digest);
      }
      return grpc::Status::OK;
    }

    grpc::Status UploadBlobs(ServerContext*,
                             ServerReader<v1::UploadBlobsRequest>* reader,
                             v1::UploadBlobsResponse* response) override {
      std::string* blob = nullptr;
      v1::UploadBlobsRequest part;
      MutexLock lock(&cluster.mu_);
      while (reader->Read(&part)) {
        if (!part.digest().empty()) {
          blob = &cluster.blobs_[part.digest()];
          response->set_stored_count(response->stored_count() + 1);
        }
        blob->append(part.data());
      }
      cluster.calls_.push_back(
          absl::StrCat("UploadBlobs ", response->ShortDebugString()));
      return grpc::Status::OK;
    }
  };

  struct StorageAdmin final : v1::StorageAdminService::Service, Base {
    using Base::Base;
    HS_STREAM(VerifyStorage, v1::VerifyStorageRequest,
              v1::VerifyStorageResponse)
    HS_STREAM(CompactStorage, v1::CompactStorageRequest,
              v1::CompactStorageResponse)
  };

  Tuning tuning;
  Training training;
  Comparison comparison;
  Admin admin;
  Checkpoints checkpoints;
  Blobs blobs;
  StorageAdmin storage_admin;
};

#undef HS_UNARY
#undef HS_STREAM

FakeCluster::FakeCluster() : services_(std::make_unique<FakeServices>(*this)) {
  address_ = "unix:" + (folder_ / "sock");
  auto listener =
      Listener::Start({.address = {.socket_path = folder_ / "sock"},
                       .services = {&services_->tuning, &services_->training,
                                    &services_->comparison, &services_->admin,
                                    &services_->checkpoints, &services_->blobs,
                                    &services_->storage_admin}});
  HS_CHECK_OK(listener);
  listener_ = *std::move(listener);
}

FakeCluster::~FakeCluster() { listener_.reset(); }

void FakeCluster::Push(const std::string& method, Script script) {
  MutexLock lock(&mu_);
  scripts_[method].push_back(std::move(script));
}

void FakeCluster::Answer(const std::string& method,
                         const google::protobuf::Message& answer) {
  Push(method, {absl::OkStatus(), {answer.SerializeAsString()}});
}

void FakeCluster::Fail(const std::string& method, const absl::Status& status) {
  Push(method, {status, {}});
}

void FakeCluster::Stream(const std::string& method,
                         const std::vector<std::string>& serialized,
                         const absl::Status& end) {
  Push(method, {end, serialized});
}

void FakeCluster::SetFile(std::string bytes, int64_t part_bytes,
                          int64_t parts_per_stream) {
  MutexLock lock(&mu_);
  file_ = std::move(bytes);
  part_bytes_ = part_bytes;
  parts_per_stream_ = parts_per_stream;
}

std::map<std::string, std::string> FakeCluster::Blobs() {
  MutexLock lock(&mu_);
  return blobs_;
}

void FakeCluster::Forget(const std::string& method) {
  MutexLock lock(&mu_);
  scripts_.erase(method);
}

std::vector<std::string> FakeCluster::TakeCalls() {
  MutexLock lock(&mu_);
  return std::exchange(calls_, {});
}

FakeCluster::Script FakeCluster::Next(
    const std::string& method, const google::protobuf::Message& request) {
  const std::string text = request.ShortDebugString();
  MutexLock lock(&mu_);
  calls_.push_back(absl::StrCat(method, text.empty() ? "" : " ", text));
  std::deque<Script>& scripts = scripts_[method];
  if (scripts.empty()) {
    return {absl::UnimplementedError(method + " has no answer"), {}};
  }
  Script script = scripts.front();
  if (scripts.size() > 1) scripts.pop_front();
  return script;
}

}  // namespace headstart
