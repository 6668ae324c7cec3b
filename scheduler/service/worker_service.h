// What agents call: their state up, their desired state down.
#pragma once

#include "headstart/v1/worker_service.grpc.pb.h"
#include "scheduler/service/engine.h"
#include "scheduler/service/storage_link.h"

namespace headstart::scheduler {

// Synchronize as a long poll. A poll that waits is a few hundred bytes and no
// thread. Engine and link outlive the service.
class WorkerService final : public v1::WorkerService::CallbackService {
 public:
  WorkerService(Engine& engine, const StorageLink& storage)
      : engine_(engine), storage_(storage) {}

  grpc::ServerUnaryReactor* Synchronize(
      grpc::CallbackServerContext* context,
      const v1::SynchronizeRequest* request,
      v1::SynchronizeResponse* response) override;

 private:
  Engine& engine_;
  const StorageLink& storage_;
};

}  // namespace headstart::scheduler
