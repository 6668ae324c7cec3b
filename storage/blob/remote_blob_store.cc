#include "storage/blob/remote_blob_store.h"

#include <algorithm>
#include <string>
#include <utility>

#include <grpcpp/client_context.h>

#include "absl/strings/str_cat.h"
#include "base/net/grpc_status.h"
#include "base/status_macros.h"

namespace headstart::storage {
namespace {

constexpr size_t kPartBytes = size_t{1} << 20;
constexpr size_t kDigestsPerCall = 10'000;
constexpr int64_t kBytesPerSecond = int64_t{4} << 20;

void SetDeadline(grpc::ClientContext& context, absl::Duration timeout,
                 int64_t bytes) {
  timeout += absl::Seconds(bytes / kBytesPerSecond);
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoMilliseconds(timeout));
}

// Sends one blob as one message or several. False: the stream has ended.
bool SendBlob(const Blob& blob,
              grpc::ClientWriter<v1::UploadBlobsRequest>& writer) {
  v1::UploadBlobsRequest part;
  part.set_digest(std::string(blob.digest.bytes()));
  part.set_total_bytes(blob.bytes.size());
  size_t offset = 0;
  do {
    const size_t size = std::min(kPartBytes, blob.bytes.size() - offset);
    absl::CopyCordToString(blob.bytes.Subcord(offset, size),
                           part.mutable_data());
    if (!writer.Write(part)) return false;
    offset += size;
    part.clear_digest();
    part.clear_total_bytes();
  } while (offset < blob.bytes.size());
  return true;
}

}  // namespace

RemoteBlobStore::RemoteBlobStore(std::shared_ptr<grpc::Channel> channel,
                                 RemoteBlobStoreOptions options)
    : stub_(v1::BlobService::NewStub(std::move(channel))), options_(options) {}

absl::Status RemoteBlobStore::PutAll(absl::Span<const Blob> blobs) {
  if (blobs.empty()) return absl::OkStatus();
  int64_t bytes = 0;
  for (const Blob& blob : blobs) bytes += blob.bytes.size();
  grpc::ClientContext context;
  SetDeadline(context, options_.call_timeout, bytes);
  const CallGroup::Member member(options_.calls, context);
  v1::UploadBlobsResponse response;
  auto writer = stub_->UploadBlobs(&context, &response);
  bool open = true;
  for (size_t i = 0; open && i < blobs.size(); ++i) {
    open = SendBlob(blobs[i], *writer);
  }
  writer->WritesDone();
  return FromGrpcStatus(writer->Finish());
}

absl::StatusOr<absl::Cord> RemoteBlobStore::Get(const Digest& digest) const {
  grpc::ClientContext context;
  SetDeadline(context, options_.call_timeout, kBlobBytesMax);
  const CallGroup::Member member(options_.calls, context);
  v1::DownloadBlobsRequest request;
  request.add_digests(std::string(digest.bytes()));
  auto reader = stub_->DownloadBlobs(&context, request);
  absl::Cord bytes;
  int64_t total_bytes = -1;
  v1::DownloadBlobsResponse part;
  while (reader->Read(&part)) {
    if (total_bytes < 0) total_bytes = part.total_bytes();
    bytes.Append(std::move(*part.mutable_data()));
    if (static_cast<int64_t>(bytes.size()) > total_bytes) break;
    part.Clear();
  }
  if (static_cast<int64_t>(bytes.size()) > total_bytes && total_bytes >= 0) {
    context.TryCancel();
  }
  HS_RETURN_IF_ERROR(FromGrpcStatus(reader->Finish()));
  if (static_cast<int64_t>(bytes.size()) != total_bytes) {
    return absl::DataLossError(
        absl::StrCat("blob ", digest.ToString(), ": the server announced ",
                     total_bytes, " bytes and sent ", bytes.size(), "."));
  }
  return bytes;
}

absl::StatusOr<std::vector<Digest>> RemoteBlobStore::FindMissing(
    absl::Span<const Digest> digests) {
  std::vector<Digest> missing;
  while (!digests.empty()) {
    v1::FindMissingBlobsRequest request;
    for (const Digest& digest : digests.subspan(0, kDigestsPerCall)) {
      request.add_digests(std::string(digest.bytes()));
    }
    digests.remove_prefix(request.digests_size());
    grpc::ClientContext context;
    SetDeadline(context, options_.call_timeout, 0);
    const CallGroup::Member member(options_.calls, context);
    v1::FindMissingBlobsResponse response;
    HS_RETURN_IF_ERROR(
        FromGrpcStatus(stub_->FindMissingBlobs(&context, request, &response)));
    for (const std::string& bytes : response.missing()) {
      HS_ASSIGN_OR_RETURN(Digest digest, Digest::FromBytes(bytes));
      missing.push_back(digest);
    }
  }
  return missing;
}

}  // namespace headstart::storage
