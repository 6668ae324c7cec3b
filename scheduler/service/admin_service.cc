#include "scheduler/service/admin_service.h"

#include <google/protobuf/util/time_util.h>

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "scheduler/service/unary.h"

namespace headstart::scheduler {
namespace {

void FillInLastSeen(const EngineView& view, v1::Worker& worker) {
  const std::optional<absl::Time> heard = view.leases.LastHeard(worker.name());
  if (!heard.has_value()) return;
  *worker.mutable_last_seen_time() =
      google::protobuf::util::TimeUtil::NanosecondsToTimestamp(
          absl::ToUnixNanos(*heard));
}

absl::StatusOr<v1::Worker> FindWorker(const EngineView& view,
                                      const std::string& name) {
  HS_ASSIGN_OR_RETURN(v1::Worker worker, view.scheduler.GetWorker(name));
  FillInLastSeen(view, worker);
  return worker;
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::GetServerInfo(
    grpc::CallbackServerContext* context, const v1::GetServerInfoRequest*,
    v1::ServerInfo* response) {
  return AnswerQuestion<v1::ServerInfo>(
      engine_, context, response,
      [this](const EngineView& view) -> absl::StatusOr<v1::ServerInfo> {
        v1::ServerInfo info;
        info.set_version(kVersion);
        info.set_cluster_id(engine_.cluster_id());
        info.set_storage_address(storage_.address());
        info.set_journal_sequence(view.scheduler.event_count());
        return info;
      });
}

grpc::ServerUnaryReactor* AdminService::ListWorkers(
    grpc::CallbackServerContext* context, const v1::ListWorkersRequest* request,
    v1::ListWorkersResponse* response) {
  return AnswerQuestion<v1::ListWorkersResponse>(
      engine_, context, response,
      [request](
          const EngineView& view) -> absl::StatusOr<v1::ListWorkersResponse> {
        HS_ASSIGN_OR_RETURN(v1::ListWorkersResponse page,
                            view.scheduler.ListWorkers(*request));
        for (v1::Worker& worker : *page.mutable_workers()) {
          FillInLastSeen(view, worker);
        }
        return page;
      });
}

grpc::ServerUnaryReactor* AdminService::CordonWorker(
    grpc::CallbackServerContext* context, const v1::WorkerRequest* request,
    v1::Worker* response) {
  return AnswerNamedChange<scheduler::CordonWorker, v1::WorkerRequest,
                           v1::Worker>(engine_, context, *request,
                                       "headstart.v1.AdminService/CordonWorker",
                                       response, FindWorker);
}

grpc::ServerUnaryReactor* AdminService::UncordonWorker(
    grpc::CallbackServerContext* context, const v1::WorkerRequest* request,
    v1::Worker* response) {
  return AnswerNamedChange<scheduler::UncordonWorker, v1::WorkerRequest,
                           v1::Worker>(
      engine_, context, *request, "headstart.v1.AdminService/UncordonWorker",
      response, FindWorker);
}

grpc::ServerUnaryReactor* AdminService::DrainWorker(
    grpc::CallbackServerContext* context, const v1::WorkerRequest* request,
    v1::Worker* response) {
  return AnswerNamedChange<scheduler::DrainWorker, v1::WorkerRequest,
                           v1::Worker>(engine_, context, *request,
                                       "headstart.v1.AdminService/DrainWorker",
                                       response, FindWorker);
}

}  // namespace headstart::scheduler
