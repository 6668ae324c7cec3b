// What users ask about comparisons: gRPC in, commands and reads out.
#pragma once

#include <string>

#include "headstart/v1/comparison_service.grpc.pb.h"
#include "scheduler/service/answer_thread.h"
#include "scheduler/service/engine.h"
#include "scheduler/service/storage_link.h"

namespace headstart::scheduler {

// Engine, link and thread outlive the service.
class ComparisonService final : public v1::ComparisonService::CallbackService {
 public:
  ComparisonService(Engine& engine, StorageLink& storage, AnswerThread& answers)
      : engine_(engine), storage_(storage), answers_(answers) {}

  grpc::ServerUnaryReactor* CreateComparison(
      grpc::CallbackServerContext* context,
      const v1::CreateComparisonRequest* request,
      v1::Comparison* response) override;
  grpc::ServerUnaryReactor* GetComparison(
      grpc::CallbackServerContext* context,
      const v1::GetComparisonRequest* request,
      v1::Comparison* response) override;
  grpc::ServerUnaryReactor* ListComparisons(
      grpc::CallbackServerContext* context,
      const v1::ListComparisonsRequest* request,
      v1::ListComparisonsResponse* response) override;
  grpc::ServerUnaryReactor* CancelComparison(
      grpc::CallbackServerContext* context,
      const v1::CancelComparisonRequest* request,
      v1::Comparison* response) override;
  grpc::ServerUnaryReactor* DeleteComparison(
      grpc::CallbackServerContext* context,
      const v1::DeleteComparisonRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerWriteReactor<v1::Comparison>* WatchComparison(
      grpc::CallbackServerContext* context,
      const v1::WatchComparisonRequest* request) override;
  grpc::ServerUnaryReactor* ReportComparison(
      grpc::CallbackServerContext* context,
      const v1::ReportComparisonRequest* request,
      v1::ComparisonReport* response) override;

 private:
  absl::StatusOr<v1::Comparison> FindComparison(const EngineView& view,
                                                absl::string_view name) const;

  Engine& engine_;
  StorageLink& storage_;
  AnswerThread& answers_;
};

}  // namespace headstart::scheduler
