#include "storage/server/blob_service.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/net/grpc_status.h"
#include "base/status_macros.h"

namespace headstart::storage {
namespace {

constexpr int kDigestsMax = 10'000;
constexpr int64_t kPartBytes = int64_t{1} << 20;

// Blobs of one stream that are stored together.
constexpr int64_t kGroupBytes = int64_t{16} << 20;

absl::StatusOr<std::vector<Digest>> ParseDigests(
    const google::protobuf::RepeatedPtrField<std::string>& list) {
  if (list.size() > kDigestsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("digests: at most ", kDigestsMax, " in one call, got ",
                     list.size(), "."));
  }
  std::vector<Digest> digests;
  digests.reserve(list.size());
  for (const std::string& bytes : list) {
    HS_ASSIGN_OR_RETURN(const Digest digest, Digest::FromBytes(bytes));
    digests.push_back(digest);
  }
  return digests;
}

// Puts the parts of a stream together into blobs, and stores them in groups.
// Takes the bytes of each blob from the budget before it takes them in, and
// waits for them only when it holds none itself.
class Upload {
 public:
  Upload(BlobStore& blobs, ByteBudget& budget)
      : blobs_(blobs), budget_(budget) {}
  ~Upload() { budget_.Give(held_bytes_); }
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  absl::Status Add(v1::UploadBlobsRequest& part) {
    if (static_cast<int64_t>(part.data().size()) > kPartBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("a part has ", part.data().size(), " bytes; at most ",
                       kPartBytes, "."));
    }
    if (!part.digest().empty()) HS_RETURN_IF_ERROR(Begin(part));
    const int64_t missing =
        total_bytes_ - static_cast<int64_t>(blob_.bytes.size());
    if (!in_blob_ || static_cast<int64_t>(part.data().size()) > missing) {
      return absl::InvalidArgumentError(
          "a part that follows none, or more bytes than total_bytes said.");
    }
    blob_.bytes.Append(std::move(*part.mutable_data()));
    if (static_cast<int64_t>(blob_.bytes.size()) < total_bytes_) {
      return absl::OkStatus();
    }
    group_bytes_ += total_bytes_;
    group_.push_back(std::exchange(blob_, Blob()));
    in_blob_ = false;
    return group_bytes_ >= kGroupBytes ? StoreGroup() : absl::OkStatus();
  }

  absl::Status Finish() {
    if (in_blob_) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the stream ended within blob ", blob_.digest.ToString(), ": ",
          blob_.bytes.size(), " of ", total_bytes_, " bytes."));
    }
    return StoreGroup();
  }

  const v1::UploadBlobsResponse& response() const { return response_; }

 private:
  absl::Status Begin(const v1::UploadBlobsRequest& part) {
    if (in_blob_) {
      return absl::InvalidArgumentError(
          absl::StrCat("blob ", blob_.digest.ToString(),
                       " is not complete, and another "
                       "begins."));
    }
    if (part.total_bytes() < 0 || part.total_bytes() > kBlobBytesMax) {
      return absl::InvalidArgumentError(absl::StrCat("total_bytes: 0 to ",
                                                     kBlobBytesMax, ", got ",
                                                     part.total_bytes(), "."));
    }
    HS_ASSIGN_OR_RETURN(blob_.digest, Digest::FromBytes(part.digest()));
    total_bytes_ = part.total_bytes();
    if (!budget_.TryTake(total_bytes_)) {
      HS_RETURN_IF_ERROR(StoreGroup());
      budget_.Take(total_bytes_);
    }
    held_bytes_ += total_bytes_;
    in_blob_ = true;
    return absl::OkStatus();
  }

  absl::Status StoreGroup() {
    std::vector<Digest> digests;
    for (const Blob& blob : group_) digests.push_back(blob.digest);
    HS_ASSIGN_OR_RETURN(const auto missing, blobs_.FindMissing(digests));
    HS_RETURN_IF_ERROR(blobs_.PutAll(group_));
    for (const Blob& blob : group_) {
      if (std::find(missing.begin(), missing.end(), blob.digest) ==
          missing.end()) {
        continue;
      }
      response_.set_stored_count(response_.stored_count() + 1);
      response_.set_stored_bytes(response_.stored_bytes() +
                                 static_cast<int64_t>(blob.bytes.size()));
    }
    group_.clear();
    group_bytes_ = 0;
    budget_.Give(std::exchange(held_bytes_, 0));
    return absl::OkStatus();
  }

  BlobStore& blobs_;
  ByteBudget& budget_;
  int64_t held_bytes_ = 0;  // Of `blob_` and `group_`.
  bool in_blob_ = false;
  Blob blob_;
  int64_t total_bytes_ = 0;
  std::vector<Blob> group_;
  int64_t group_bytes_ = 0;
  v1::UploadBlobsResponse response_;
};

// Sends one blob as one message or several. False: the caller is gone.
bool Send(const Digest& digest, const absl::Cord& bytes,
          grpc::ServerWriter<v1::DownloadBlobsResponse>& writer) {
  v1::DownloadBlobsResponse part;
  part.set_digest(std::string(digest.bytes()));
  part.set_total_bytes(static_cast<int64_t>(bytes.size()));
  size_t offset = 0;
  do {
    const size_t size = std::min<size_t>(kPartBytes, bytes.size() - offset);
    absl::CopyCordToString(bytes.Subcord(offset, size), part.mutable_data());
    if (!writer.Write(part)) return false;
    offset += size;
    part.clear_digest();
    part.clear_total_bytes();
  } while (offset < bytes.size());
  return true;
}

}  // namespace

bool ByteBudget::TryTake(int64_t bytes) {
  MutexLock lock(&mu_);
  if (first_ != last_ || !Fits(bytes)) return false;
  taken_bytes_ += bytes;
  return true;
}

void ByteBudget::Take(int64_t bytes) {
  MutexLock lock(&mu_);
  const int64_t place = last_++;
  mu_.Await([&] {
    mu_.AssertHeld();
    return first_ == place && Fits(bytes);
  });
  ++first_;
  taken_bytes_ += bytes;
}

void ByteBudget::Give(int64_t bytes) {
  MutexLock lock(&mu_);
  taken_bytes_ -= bytes;
}

int64_t ByteBudget::waiting() const {
  MutexLock lock(&mu_);
  return last_ - first_;
}

int64_t ByteBudget::taken_bytes() const {
  MutexLock lock(&mu_);
  return taken_bytes_;
}

grpc::Status BlobService::FindMissingBlobs(
    grpc::ServerContext*, const v1::FindMissingBlobsRequest* request,
    v1::FindMissingBlobsResponse* response) {
  const auto digests = ParseDigests(request->digests());
  if (!digests.ok()) return ToGrpcStatus(digests.status());
  const auto missing = blobs_.FindMissing(*digests);
  if (!missing.ok()) return ToGrpcStatus(missing.status());
  for (const Digest& digest : *missing) {
    response->add_missing(std::string(digest.bytes()));
  }
  return grpc::Status::OK;
}

grpc::Status BlobService::UploadBlobs(
    grpc::ServerContext*, grpc::ServerReader<v1::UploadBlobsRequest>* reader,
    v1::UploadBlobsResponse* response) {
  Upload upload(blobs_, upload_budget_);
  v1::UploadBlobsRequest part;
  while (reader->Read(&part)) {
    const absl::Status added = upload.Add(part);
    if (!added.ok()) return ToGrpcStatus(added);
    part.Clear();
  }
  const absl::Status finished = upload.Finish();
  *response = upload.response();
  return ToGrpcStatus(finished);
}

grpc::Status BlobService::DownloadBlobs(
    grpc::ServerContext*, const v1::DownloadBlobsRequest* request,
    grpc::ServerWriter<v1::DownloadBlobsResponse>* writer) {
  const auto digests = ParseDigests(request->digests());
  if (!digests.ok()) return ToGrpcStatus(digests.status());
  for (const Digest& digest : *digests) {
    const auto bytes = blobs_.Get(digest);
    if (!bytes.ok()) return ToGrpcStatus(bytes.status());
    if (!Send(digest, *bytes, *writer)) return grpc::Status::CANCELLED;
  }
  return grpc::Status::OK;
}

grpc::Status BlobService::CommitCheckpoint(
    grpc::ServerContext*, const v1::CommitCheckpointRequest* request,
    v1::CommitCheckpointResponse* response) {
  const auto digest = catalog_.Commit(*request);
  if (!digest.ok()) return ToGrpcStatus(digest.status());
  response->set_manifest_digest(std::string(digest->bytes()));
  return grpc::Status::OK;
}

grpc::Status BlobService::GetManifests(grpc::ServerContext*,
                                       const v1::GetManifestsRequest* request,
                                       v1::GetManifestsResponse* response) {
  auto manifests = catalog_.GetManifests(request->checkpoint());
  if (!manifests.ok()) return ToGrpcStatus(manifests.status());
  *response = *std::move(manifests);
  return grpc::Status::OK;
}

}  // namespace headstart::storage
