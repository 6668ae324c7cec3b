#include "storage/server/checkpoint_service.h"

#include "base/net/grpc_status.h"
#include "storage/retention/usage.h"
#include "storage/server/download.h"

namespace headstart::storage {
namespace {

template <typename T>
grpc::Status Answer(absl::StatusOr<T> result, T* response) {
  if (!result.ok()) return ToGrpcStatus(result.status());
  *response = *std::move(result);
  return grpc::Status::OK;
}

}  // namespace

grpc::Status CheckpointService::GetCheckpoint(
    grpc::ServerContext*, const v1::GetCheckpointRequest* request,
    v1::Checkpoint* response) {
  return Answer(catalog_.Get(request->name()), response);
}

grpc::Status CheckpointService::ListCheckpoints(
    grpc::ServerContext*, const v1::ListCheckpointsRequest* request,
    v1::ListCheckpointsResponse* response) {
  return Answer(catalog_.List(*request), response);
}

grpc::Status CheckpointService::DownloadCheckpoint(
    grpc::ServerContext*, const v1::DownloadCheckpointRequest* request,
    grpc::ServerWriter<v1::DownloadCheckpointResponse>* writer) {
  return ToGrpcStatus(
      Download(catalog_, blobs_, *request,
               [&](const v1::DownloadCheckpointResponse& piece) {
                 return writer->Write(piece);
               }));
}

grpc::Status CheckpointService::PinCheckpoint(
    grpc::ServerContext*, const v1::PinCheckpointRequest* request,
    v1::Checkpoint* response) {
  return Answer(catalog_.Pin(*request), response);
}

grpc::Status CheckpointService::UnpinCheckpoint(
    grpc::ServerContext*, const v1::UnpinCheckpointRequest* request,
    v1::Checkpoint* response) {
  return Answer(catalog_.Unpin(*request), response);
}

grpc::Status CheckpointService::ImportCheckpoint(
    grpc::ServerContext*, const v1::ImportCheckpointRequest* request,
    v1::Checkpoint* response) {
  return Answer(catalog_.Import(*request), response);
}

grpc::Status CheckpointService::GetUsage(grpc::ServerContext*,
                                         const v1::GetUsageRequest* request,
                                         v1::GetUsageResponse* response) {
  return Answer(ComputeUsage(catalog_, packs_, folder_, request->parent()),
                response);
}

grpc::Status ReferenceService::SetReferences(
    grpc::ServerContext*, const v1::SetReferencesRequest* request,
    v1::SetReferencesResponse* response) {
  return Answer(catalog_.SetReferences(*request), response);
}

}  // namespace headstart::storage
