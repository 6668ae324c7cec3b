#include "worker/agent/fake_storage.h"

#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "storage/blob/digest.h"

namespace headstart::worker {
namespace {

// The deterministic serialization; messages without maps have no other.
std::string DigestOf(const v1::Manifest& manifest) {
  return std::string(storage::Digest::Of(manifest.SerializeAsString()).bytes());
}

}  // namespace

FakeStorage::FakeStorage(const std::string& socket_path) {
  auto listener = Listener::Start(
      {.address = {.socket_path = socket_path}, .services = {this}});
  HS_CHECK_OK(listener);
  listener_ = *std::move(listener);
}

void FakeStorage::FailWith(grpc::StatusCode code) {
  MutexLock lock(&mu_);
  fault_ = code;
  failed_call_count_ = 0;
}

void FakeStorage::Hang() {
  MutexLock lock(&mu_);
  hangs_ = true;
}

void FakeStorage::AwaitHangingCall() {
  MutexLock lock(&mu_);
  mu_.Await([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return hanging_call_count_ > 0;
  });
}

bool FakeStorage::AwaitGivenUpCall() {
  MutexLock lock(&mu_);
  mu_.Await([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return given_up_early_.has_value();
  });
  return *given_up_early_;
}

void FakeStorage::LoseBlobsOnce() {
  MutexLock lock(&mu_);
  lose_blobs_ = true;
}

void FakeStorage::DamageBlobs() {
  MutexLock lock(&mu_);
  for (auto& [digest, bytes] : blobs_) bytes[0] ^= 1;
}

void FakeStorage::SeeToken(const std::string& run, int64_t token) {
  MutexLock lock(&mu_);
  tokens_[run] = token;
}

void FakeStorage::DropResumeManifest(const std::string& checkpoint) {
  MutexLock lock(&mu_);
  commits_.at(checkpoint).clear_resume_manifest();
}

void FakeStorage::AwaitFailedCall() {
  MutexLock lock(&mu_);
  mu_.Await([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return failed_call_count_ > 0;
  });
}

void FakeStorage::AwaitCommit(const std::string& checkpoint) {
  MutexLock lock(&mu_);
  mu_.Await([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return commits_.contains(checkpoint);
  });
}

std::map<std::string, std::string> FakeStorage::digests() const {
  MutexLock lock(&mu_);
  std::map<std::string, std::string> digests;
  for (const auto& [name, commit] : commits_) {
    digests[name] = DigestOf(commit.manifest());
  }
  return digests;
}

v1::CommitCheckpointRequest FakeStorage::commit(
    const std::string& checkpoint) const {
  MutexLock lock(&mu_);
  return commits_.at(checkpoint);
}

int64_t FakeStorage::uploaded_blob_count() const {
  MutexLock lock(&mu_);
  return uploaded_blob_count_;
}

grpc::Status FakeStorage::Fault() {
  if (fault_ == grpc::StatusCode::OK) return grpc::Status::OK;
  ++failed_call_count_;
  return grpc::Status(fault_, "as the test wants");
}

grpc::Status FakeStorage::FindMissingBlobs(
    grpc::ServerContext*, const v1::FindMissingBlobsRequest* request,
    v1::FindMissingBlobsResponse* response) {
  MutexLock lock(&mu_);
  if (grpc::Status fault = Fault(); !fault.ok()) return fault;
  for (const std::string& digest : request->digests()) {
    if (!blobs_.contains(digest)) response->add_missing(digest);
  }
  return grpc::Status::OK;
}

grpc::Status FakeStorage::UploadBlobs(
    grpc::ServerContext*, grpc::ServerReader<v1::UploadBlobsRequest>* reader,
    v1::UploadBlobsResponse*) {
  std::vector<std::pair<std::string, std::string>> blobs;
  v1::UploadBlobsRequest part;
  while (reader->Read(&part)) {
    if (!part.digest().empty()) blobs.emplace_back(part.digest(), "");
    if (blobs.empty()) return {grpc::StatusCode::INVALID_ARGUMENT, "no digest"};
    blobs.back().second += part.data();
  }
  MutexLock lock(&mu_);
  if (grpc::Status fault = Fault(); !fault.ok()) return fault;
  for (auto& [digest, bytes] : blobs) {
    if (storage::Digest::Of(bytes).bytes() != digest) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "wrong digest"};
    }
    blobs_[digest] = std::move(bytes);
    ++uploaded_blob_count_;
  }
  return grpc::Status::OK;
}

grpc::Status FakeStorage::DownloadBlobs(
    grpc::ServerContext*, const v1::DownloadBlobsRequest* request,
    grpc::ServerWriter<v1::DownloadBlobsResponse>* writer) {
  MutexLock lock(&mu_);
  if (grpc::Status fault = Fault(); !fault.ok()) return fault;
  for (const std::string& digest : request->digests()) {
    auto blob = blobs_.find(digest);
    if (blob == blobs_.end()) return {grpc::StatusCode::NOT_FOUND, "no blob"};
    v1::DownloadBlobsResponse part;
    part.set_digest(digest);
    part.set_total_bytes(blob->second.size());
    part.set_data(blob->second);
    writer->Write(part);
  }
  return grpc::Status::OK;
}

grpc::Status FakeStorage::CommitCheckpoint(
    grpc::ServerContext* context, const v1::CommitCheckpointRequest* request,
    v1::CommitCheckpointResponse* response) {
  MutexLock lock(&mu_);
  if (hangs_) {
    ++hanging_call_count_;
    // gRPC wakes nobody for it.
    while (!context->IsCancelled()) {
      mu_.AwaitWithTimeout([] { return false; }, absl::Milliseconds(10));
    }
    given_up_early_ = std::chrono::system_clock::now() < context->deadline();
    return grpc::Status::CANCELLED;
  }
  if (grpc::Status fault = Fault(); !fault.ok()) return fault;
  if (std::exchange(lose_blobs_, false)) blobs_.clear();
  const v1::Manifest& manifest = request->manifest();
  for (const auto* part : {&manifest, &request->resume_manifest()}) {
    for (const v1::Tensor& tensor : part->tensors()) {
      if (tensor.has_digest() && !blobs_.contains(tensor.digest())) {
        return {grpc::StatusCode::FAILED_PRECONDITION, "blobs are missing"};
      }
    }
  }
  int64_t& token = tokens_[manifest.run()];
  if (request->token() < token) {
    return {grpc::StatusCode::ABORTED, "a newer attempt has been seen"};
  }
  token = request->token();
  commits_[absl::StrCat(manifest.run(), "/epochs/", manifest.epoch())] =
      *request;
  response->set_manifest_digest(DigestOf(manifest));
  return grpc::Status::OK;
}

grpc::Status FakeStorage::GetManifests(grpc::ServerContext*,
                                       const v1::GetManifestsRequest* request,
                                       v1::GetManifestsResponse* response) {
  MutexLock lock(&mu_);
  if (grpc::Status fault = Fault(); !fault.ok()) return fault;
  auto commit = commits_.find(request->checkpoint());
  if (commit == commits_.end()) {
    return {grpc::StatusCode::NOT_FOUND, "no such checkpoint"};
  }
  *response->mutable_manifest() = commit->second.manifest();
  response->set_manifest_digest(DigestOf(commit->second.manifest()));
  if (commit->second.has_resume_manifest()) {
    *response->mutable_resume_manifest() = commit->second.resume_manifest();
  }
  return grpc::Status::OK;
}

}  // namespace headstart::worker
