// Manifests and commits for the tests of storage.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "headstart/v1/checkpoint_service.pb.h"
#include "storage/blob/blob_store.h"
#include "storage/catalog/manifest.h"

namespace headstart::storage {

inline constexpr char kCluster[] = "00112233445566778899aabbccddeeff";

// Bytes of an F32 tensor [rows, 1024]; they differ for each `seed`.
inline std::string TensorData(int64_t rows, uint64_t seed) {
  std::string bytes(rows * 4096, '\0');
  uint64_t state = seed * 2 + 1;
  for (char& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<char>(state >> 56);
  }
  return bytes;
}

inline void AddTensor(v1::Manifest& manifest, const std::string& name,
                      v1::Tensor::Role role, const std::string& bytes) {
  v1::Tensor& tensor = *manifest.add_tensors();
  tensor.set_name(name);
  tensor.set_dtype("F32");
  tensor.add_shape(static_cast<int64_t>(bytes.size() / 4));
  tensor.set_role(role);
  if (static_cast<int64_t>(bytes.size()) < kInlineBytesLimit) {
    tensor.set_inlined(bytes);
  } else {
    tensor.set_digest(std::string(Digest::Of(bytes).bytes()));
  }
}

// A commit of an epoch, with the blobs that it needs.
struct TestEpoch {
  v1::CommitCheckpointRequest request;
  std::vector<Blob> blobs;
};

// The epoch of a small model: fc.weight (8 KiB), fc.bias (40 bytes), a buffer;
// in the resume manifest 8 KiB of momentum. Tensors differ for each `seed`.
inline TestEpoch MakeEpoch(const std::string& run, int64_t epoch, uint64_t seed,
                           int64_t attempt = 1) {
  TestEpoch made;
  v1::CommitCheckpointRequest& request = made.request;
  request.set_attempt(attempt);
  request.set_token(attempt);
  request.set_cluster_id(kCluster);
  const std::string weight = TensorData(2, 100 + seed);
  const std::string momentum = TensorData(2, 100'000 + seed);
  v1::Manifest& manifest = *request.mutable_manifest();
  manifest.set_format_version(kManifestFormatVersion);
  manifest.set_run(run);
  manifest.set_epoch(epoch);
  manifest.set_model("linear");
  manifest.set_input_transform("pixel/255");
  manifest.mutable_measurement()->set_validation_accuracy(0.5);
  AddTensor(manifest, "fc.weight", v1::Tensor::PARAMETER, weight);
  AddTensor(manifest, "fc.bias", v1::Tensor::PARAMETER,
            std::string(40, static_cast<char>('a' + seed % 20)));
  AddTensor(manifest, "norm.mean", v1::Tensor::BUFFER, std::string(8, 'm'));
  v1::Manifest& resume = *request.mutable_resume_manifest();
  resume.set_format_version(kManifestFormatVersion);
  resume.set_run(run);
  resume.set_epoch(epoch);
  resume.set_resume(true);
  AddTensor(resume, "optimizer.fc.weight.momentum", v1::Tensor::OPTIMIZER,
            momentum);
  AddTensor(resume, "position", v1::Tensor::STATE, std::string(8, 'p'));
  for (const std::string& bytes : {weight, momentum}) {
    made.blobs.push_back({Digest::Of(bytes), absl::Cord(bytes)});
  }
  return made;
}

// The desired set of an owner: these references, and this horizon of a run.
inline v1::SetReferencesRequest MakeReferences(
    const std::string& owner, int64_t generation,
    const std::vector<std::pair<std::string, v1::ReferenceReason>>& references =
        {}) {
  v1::SetReferencesRequest request;
  request.set_cluster_id(kCluster);
  request.set_scheduler_sequence(generation);
  request.set_owner(owner);
  request.set_generation(generation);
  for (const auto& [checkpoint, reason] : references) {
    v1::Reference& reference = *request.add_references();
    reference.set_checkpoint(checkpoint);
    reference.set_owner(owner);
    reference.set_reason(reason);
  }
  return request;
}

inline void AddHorizon(v1::SetReferencesRequest& request,
                       const std::string& run, int64_t known_epoch,
                       int64_t token = 1, bool ended = false) {
  v1::RunHorizon& horizon = *request.add_horizons();
  horizon.set_run(run);
  horizon.set_known_epoch(known_epoch);
  horizon.set_token(token);
  horizon.set_ended(ended);
}

}  // namespace headstart::storage
