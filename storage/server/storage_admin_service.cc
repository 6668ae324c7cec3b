#include "storage/server/storage_admin_service.h"

#include "absl/strings/str_cat.h"
#include "base/net/grpc_status.h"
#include "base/status_macros.h"
#include "storage/retention/verifier.h"

namespace headstart::storage {
namespace {

template <typename Message>
absl::Status Send(const Message& message, grpc::ServerWriter<Message>& writer) {
  return writer.Write(message)
             ? absl::OkStatus()
             : absl::CancelledError("nobody listens any more.");
}

}  // namespace

grpc::Status StorageAdminService::VerifyStorage(
    grpc::ServerContext*, const v1::VerifyStorageRequest*,
    grpc::ServerWriter<v1::VerifyStorageResponse>* writer) {
  const auto result = Verify(catalog_, packs_, blobs_,
                             [&](const v1::VerifyStorageResponse& progress) {
                               return Send(progress, *writer);
                             });
  if (!result.ok()) return ToGrpcStatus(result.status());
  return ToGrpcStatus(Send(*result, *writer));
}

grpc::Status StorageAdminService::CompactStorage(
    grpc::ServerContext*, const v1::CompactStorageRequest* request,
    grpc::ServerWriter<v1::CompactStorageResponse>* writer) {
  Compactor::Options options{.active_too = true};
  if (request->dead_share_min() != 0) {
    options.dead_share_min = request->dead_share_min();
  }
  if (!(options.dead_share_min > 0 && options.dead_share_min <= 1)) {
    return ToGrpcStatus(absl::InvalidArgumentError(absl::StrCat(
        "dead_share_min: above 0 to 1, or 0 for ", Compactor::kDeadShareMin,
        "; got ", request->dead_share_min(), ".")));
  }
  const auto collected = collector_.Collect();
  if (!collected.ok()) return ToGrpcStatus(collected.status());
  v1::CompactStorageResponse message;
  message.set_checkpoints_forgotten(collected->checkpoints_forgotten);
  const auto set = [&](const Compacted& compacted) {
    message.set_freed_bytes(compacted.freed_bytes);
    message.set_packs_rewritten(compacted.packs_rewritten);
  };
  const auto compacted =
      compactor_.Compact(options, [&](const Compacted& progress) {
        set(progress);
        return Send(message, *writer);
      });
  if (!compacted.ok()) return ToGrpcStatus(compacted.status());
  set(*compacted);
  message.set_done(true);
  return ToGrpcStatus(Send(message, *writer));
}

}  // namespace headstart::storage
