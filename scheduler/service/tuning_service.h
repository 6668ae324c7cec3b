// What users ask about studies and trials: gRPC in, commands and reads out.
#pragma once

#include "headstart/v1/tuning_service.grpc.pb.h"
#include "scheduler/service/answer_thread.h"
#include "scheduler/service/engine.h"
#include "scheduler/service/storage_link.h"

namespace headstart::scheduler {

// Engine, link and thread outlive the service. No call takes a thread while it
// waits.
class TuningService final : public v1::TuningService::CallbackService {
 public:
  TuningService(Engine& engine, StorageLink& storage, AnswerThread& answers)
      : engine_(engine), storage_(storage), answers_(answers) {}

  grpc::ServerUnaryReactor* CreateStudy(
      grpc::CallbackServerContext* context,
      const v1::CreateStudyRequest* request,
      v1::CreateStudyResponse* response) override;
  grpc::ServerUnaryReactor* GetStudy(grpc::CallbackServerContext* context,
                                     const v1::GetStudyRequest* request,
                                     v1::Study* response) override;
  grpc::ServerUnaryReactor* ListStudies(
      grpc::CallbackServerContext* context,
      const v1::ListStudiesRequest* request,
      v1::ListStudiesResponse* response) override;
  grpc::ServerUnaryReactor* DeleteStudy(
      grpc::CallbackServerContext* context,
      const v1::DeleteStudyRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* PauseStudy(grpc::CallbackServerContext* context,
                                       const v1::PauseStudyRequest* request,
                                       v1::Study* response) override;
  grpc::ServerUnaryReactor* ResumeStudy(grpc::CallbackServerContext* context,
                                        const v1::ResumeStudyRequest* request,
                                        v1::Study* response) override;
  grpc::ServerUnaryReactor* CancelStudy(grpc::CallbackServerContext* context,
                                        const v1::CancelStudyRequest* request,
                                        v1::Study* response) override;
  grpc::ServerWriteReactor<v1::WatchStudyResponse>* WatchStudy(
      grpc::CallbackServerContext* context,
      const v1::WatchStudyRequest* request) override;

  grpc::ServerUnaryReactor* GetTrial(grpc::CallbackServerContext* context,
                                     const v1::GetTrialRequest* request,
                                     v1::Trial* response) override;
  grpc::ServerUnaryReactor* ListTrials(
      grpc::CallbackServerContext* context,
      const v1::ListTrialsRequest* request,
      v1::ListTrialsResponse* response) override;
  grpc::ServerUnaryReactor* ExplainTrial(
      grpc::CallbackServerContext* context,
      const v1::ExplainTrialRequest* request,
      v1::ExplainTrialResponse* response) override;
  grpc::ServerUnaryReactor* StopTrial(grpc::CallbackServerContext* context,
                                      const v1::StopTrialRequest* request,
                                      v1::Trial* response) override;
  grpc::ServerUnaryReactor* RetryTrial(grpc::CallbackServerContext* context,
                                       const v1::RetryTrialRequest* request,
                                       v1::Trial* response) override;
  grpc::ServerUnaryReactor* ReplayStudy(
      grpc::CallbackServerContext* context,
      const v1::ReplayStudyRequest* request,
      v1::ReplayStudyResponse* response) override;

 private:
  absl::StatusOr<v1::Study> FindStudy(const EngineView& view,
                                      absl::string_view name) const;

  Engine& engine_;
  StorageLink& storage_;
  AnswerThread& answers_;
};

}  // namespace headstart::scheduler
