// What operators ask of the scheduler.
#pragma once

#include "headstart/v1/admin_service.grpc.pb.h"
#include "scheduler/service/engine.h"
#include "scheduler/service/storage_link.h"

namespace headstart::scheduler {

// Engine and link outlive the service.
class AdminService final : public v1::AdminService::CallbackService {
 public:
  AdminService(Engine& engine, const StorageLink& storage)
      : engine_(engine), storage_(storage) {}

  grpc::ServerUnaryReactor* GetServerInfo(
      grpc::CallbackServerContext* context,
      const v1::GetServerInfoRequest* request,
      v1::ServerInfo* response) override;
  grpc::ServerUnaryReactor* ListWorkers(
      grpc::CallbackServerContext* context,
      const v1::ListWorkersRequest* request,
      v1::ListWorkersResponse* response) override;
  grpc::ServerUnaryReactor* CordonWorker(grpc::CallbackServerContext* context,
                                         const v1::WorkerRequest* request,
                                         v1::Worker* response) override;
  grpc::ServerUnaryReactor* UncordonWorker(grpc::CallbackServerContext* context,
                                           const v1::WorkerRequest* request,
                                           v1::Worker* response) override;
  grpc::ServerUnaryReactor* DrainWorker(grpc::CallbackServerContext* context,
                                        const v1::WorkerRequest* request,
                                        v1::Worker* response) override;

 private:
  Engine& engine_;
  const StorageLink& storage_;
};

}  // namespace headstart::scheduler
