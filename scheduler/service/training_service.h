// What users ask about trainings: gRPC in, commands and reads out.
#pragma once

#include "base/clock.h"
#include "headstart/v1/training_service.grpc.pb.h"
#include "scheduler/service/engine.h"
#include "scheduler/service/storage_link.h"

namespace headstart::scheduler {

// Engine and link outlive the service.
class TrainingService final : public v1::TrainingService::CallbackService {
 public:
  TrainingService(Engine& engine, StorageLink& storage)
      : engine_(engine), storage_(storage) {}

  grpc::ServerUnaryReactor* CreateTraining(
      grpc::CallbackServerContext* context,
      const v1::CreateTrainingRequest* request,
      v1::Training* response) override;
  grpc::ServerUnaryReactor* GetTraining(grpc::CallbackServerContext* context,
                                        const v1::GetTrainingRequest* request,
                                        v1::Training* response) override;
  grpc::ServerUnaryReactor* ListTrainings(
      grpc::CallbackServerContext* context,
      const v1::ListTrainingsRequest* request,
      v1::ListTrainingsResponse* response) override;
  grpc::ServerUnaryReactor* CancelTraining(
      grpc::CallbackServerContext* context,
      const v1::CancelTrainingRequest* request,
      v1::Training* response) override;
  grpc::ServerUnaryReactor* DeleteTraining(
      grpc::CallbackServerContext* context,
      const v1::DeleteTrainingRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerWriteReactor<v1::Training>* WatchTraining(
      grpc::CallbackServerContext* context,
      const v1::WatchTrainingRequest* request) override;

 private:
  absl::StatusOr<v1::Training> FindTraining(const EngineView& view,
                                            absl::string_view name) const;

  Engine& engine_;
  StorageLink& storage_;
};

}  // namespace headstart::scheduler
