#include "worker/agent/fetcher.h"

#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace headstart::worker {
namespace {

absl::StatusOr<TensorRole> FromProto(v1::Tensor::Role role) {
  switch (role) {
    case v1::Tensor::PARAMETER:
      return TensorRole::kParameter;
    case v1::Tensor::BUFFER:
      return TensorRole::kBuffer;
    case v1::Tensor::OPTIMIZER:
      return TensorRole::kOptimizer;
    case v1::Tensor::STATE:
      return TensorRole::kState;
    case v1::Tensor::MASK:
      return TensorRole::kMask;
    case v1::Tensor::INSERTED:
      return TensorRole::kInserted;
    default:
      return absl::DataLossError(absl::StrCat("its role is ", role));
  }
}

absl::StatusOr<TensorTable> TableOf(
    const std::vector<const v1::Tensor*>& tensors) {
  TensorTable table;
  for (const v1::Tensor* tensor : tensors) {
    absl::StatusOr<DType> dtype = ParseDType(tensor->dtype());
    absl::StatusOr<TensorRole> role = FromProto(tensor->role());
    for (const absl::Status& status : {dtype.status(), role.status()}) {
      HS_RETURN_IF_ERROR(Annotate(status, tensor->name()));
    }
    table.push_back({.name = tensor->name(),
                     .dtype = *dtype,
                     .shape = {tensor->shape().begin(), tensor->shape().end()},
                     .role = *role});
  }
  HS_ASSIGN_OR_RETURN(table, LayOut(std::move(table)));
  HS_RETURN_IF_ERROR(CheckTable(table, SlabBytes(table)));
  return table;
}

}  // namespace

absl::StatusOr<FetchedSource> Fetcher::Fetch(const std::string& checkpoint,
                                             SourceRole role,
                                             const StopEvent& cancel) {
  v1::GetManifestsResponse manifests;
  HS_RETURN_IF_ERROR(
      Annotate(retry_.Run(absl::StrCat("reading ", checkpoint), cancel,
                          [&]() -> absl::Status {
                            HS_ASSIGN_OR_RETURN(
                                manifests, storage_.GetManifests(checkpoint));
                            return absl::OkStatus();
                          }),
               checkpoint));
  if (role == SourceRole::kResume && !manifests.has_resume_manifest()) {
    return absl::NotFoundError(absl::StrCat(
        checkpoint,
        ": its weights are stored, but what the run needs to go on was let "
        "go"));
  }

  FetchedSource fetched;
  HS_ASSIGN_OR_RETURN(fetched.manifest_digest,
                      storage::Digest::FromBytes(manifests.manifest_digest()));
  std::vector<const v1::Tensor*> tensors;
  for (const v1::Tensor& tensor : manifests.manifest().tensors()) {
    tensors.push_back(&tensor);
  }
  if (role == SourceRole::kResume) {
    for (const v1::Tensor& tensor : manifests.resume_manifest().tensors()) {
      tensors.push_back(&tensor);
    }
  }
  absl::StatusOr<TensorTable> table = TableOf(tensors);
  if (!table.ok()) {
    return absl::DataLossError(
        absl::StrCat(checkpoint, ": ", table.status().message()));
  }
  fetched.source = {.checkpoint = checkpoint,
                    .role = role,
                    .bytes = SlabBytes(*table),
                    .tensors = *std::move(table)};
  HS_ASSIGN_OR_RETURN(fetched.share,
                      memory_.Take(fetched.source.bytes,
                                   absl::StrCat(checkpoint, ": its tensors")));
  HS_ASSIGN_OR_RETURN(fetched.memory, Slab::Create(fetched.source.bytes));
  for (size_t i = 0; i < tensors.size(); ++i) {
    HS_RETURN_IF_ERROR(
        Annotate(FetchTensor(*tensors[i], fetched.source.tensors[i],
                             fetched.memory, cancel),
                 absl::StrCat(checkpoint, ": ", tensors[i]->name())));
  }
  return fetched;
}

absl::Status Fetcher::FetchTensor(const v1::Tensor& tensor,
                                  const TableEntry& entry, const Slab& memory,
                                  const StopEvent& cancel) {
  absl::Cord bytes;
  if (tensor.has_inlined()) {
    bytes = absl::Cord(tensor.inlined());
  } else {
    HS_ASSIGN_OR_RETURN(const storage::Digest digest,
                        storage::Digest::FromBytes(tensor.digest()));
    HS_RETURN_IF_ERROR(retry_.Run(absl::StrCat("reading ", digest.ToString()),
                                  cancel, [&]() -> absl::Status {
                                    HS_ASSIGN_OR_RETURN(bytes,
                                                        storage_.Get(digest));
                                    return absl::OkStatus();
                                  }));
  }
  if (static_cast<int64_t>(bytes.size()) != entry.bytes) {
    return absl::DataLossError(absl::StrCat(
        bytes.size(), " bytes are stored, its shape takes ", entry.bytes));
  }
  char* to = memory.Tensor(entry).data();
  for (absl::string_view chunk : bytes.Chunks()) {
    memcpy(to, chunk.data(), chunk.size());
    to += chunk.size();
  }
  return absl::OkStatus();
}

}  // namespace headstart::worker
