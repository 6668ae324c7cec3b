#include "storage/server/download.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/names.h"
#include "base/status_macros.h"
#include "storage/catalog/manifest.h"
#include "storage/safetensors/safetensors.h"

namespace headstart::storage {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 20;
constexpr size_t kEpochsShown = 20;

// What of a file has to be sent, and is handed on in pieces.
class FileSender {
 public:
  using Send = absl::FunctionRef<bool(const v1::DownloadCheckpointResponse&)>;

  FileSender(int64_t offset, int64_t total_bytes, Send send)
      : skip_bytes_(offset), total_bytes_(total_bytes), send_(send) {}

  // Whether any of the file's next `bytes` is to be sent. If not, they count
  // as passed.
  bool Wants(int64_t bytes) {
    if (bytes > skip_bytes_) return true;
    skip_bytes_ -= bytes;
    return false;
  }

  absl::Status Add(absl::Cord bytes) {
    bytes.RemovePrefix(std::exchange(skip_bytes_, 0));
    while (!bytes.empty()) {
      HS_RETURN_IF_ERROR(SendPiece(bytes.Subcord(0, kPieceBytes)));
      bytes.RemovePrefix(std::min<size_t>(kPieceBytes, bytes.size()));
    }
    return absl::OkStatus();
  }

  // A file of which nothing was left to send still gets its one message.
  absl::Status Finish() {
    return sent_any_ ? absl::OkStatus() : SendPiece(absl::Cord());
  }

 private:
  absl::Status SendPiece(const absl::Cord& bytes) {
    v1::DownloadCheckpointResponse piece;
    if (!sent_any_) piece.set_total_bytes(total_bytes_);
    sent_any_ = true;
    absl::CopyCordToString(bytes, piece.mutable_data());
    return send_(piece) ? absl::OkStatus()
                        : absl::CancelledError("nobody listens any more.");
  }

  int64_t skip_bytes_;
  const int64_t total_bytes_;
  const Send send_;
  bool sent_any_ = false;
};

// Which epochs of the run can be read without this blob.
std::string OtherEpochs(const RocksdbCatalog& catalog, const std::string& run,
                        const std::string& blob) {
  const auto held = catalog.Held(run);
  if (!held.ok()) return "";
  std::vector<int64_t> epochs;
  for (const HeldManifest& item : *held) {
    if (item.name.resume) continue;
    const auto manifest = catalog.ReadManifest(item.digest);
    if (!manifest.ok()) continue;
    const auto& tensors = manifest->tensors();
    if (std::any_of(tensors.begin(), tensors.end(),
                    [&](const v1::Tensor& t) { return t.digest() == blob; })) {
      continue;
    }
    epochs.push_back(item.name.checkpoint.epoch);
  }
  if (epochs.empty()) return " No other epoch of the run does without it.";
  const bool more = epochs.size() > kEpochsShown;
  epochs.resize(std::min(epochs.size(), kEpochsShown));
  return absl::StrCat(" Epochs that do not need it: ",
                      absl::StrJoin(epochs, ", "), more ? ", ..." : "", ".");
}

absl::StatusOr<std::string> MakeHeader(
    const v1::Checkpoint& checkpoint,
    const std::vector<const v1::Tensor*>& tensors) {
  std::vector<SafetensorsTensor> laid_out;
  for (const v1::Tensor* tensor : tensors) {
    HS_ASSIGN_OR_RETURN(const DType dtype, ParseDType(tensor->dtype()));
    laid_out.push_back(
        {.name = tensor->name(),
         .dtype = dtype,
         .shape = {tensor->shape().begin(), tensor->shape().end()}});
  }
  const v1::Manifest& manifest = checkpoint.manifest();
  HS_ASSIGN_OR_RETURN(const Digest digest,
                      Digest::FromBytes(checkpoint.manifest_digest()));
  return MakeSafetensorsHeader(laid_out,
                               {{"epoch", absl::StrCat(manifest.epoch())},
                                {"format", "pt"},
                                {"input_transform", manifest.input_transform()},
                                {"manifest_digest", digest.ToString()},
                                {"model", manifest.model()},
                                {"run", manifest.run()}});
}

}  // namespace

absl::Status Download(
    const RocksdbCatalog& catalog, const BlobStore& blobs,
    const v1::DownloadCheckpointRequest& request,
    absl::FunctionRef<bool(const v1::DownloadCheckpointResponse&)> send) {
  HS_ASSIGN_OR_RETURN(const v1::Checkpoint checkpoint,
                      catalog.Get(request.name()));
  std::vector<const v1::Tensor*> tensors;
  int64_t total_bytes = 0;
  for (const v1::Tensor& tensor : checkpoint.manifest().tensors()) {
    if (request.exclude_buffers() && tensor.role() == v1::Tensor::BUFFER) {
      continue;
    }
    if (!request.include_masks() && tensor.role() == v1::Tensor::MASK) continue;
    tensors.push_back(&tensor);
    HS_ASSIGN_OR_RETURN(const int64_t bytes, TensorBytes(tensor));
    total_bytes += bytes;
  }
  HS_ASSIGN_OR_RETURN(std::string header, MakeHeader(checkpoint, tensors));
  total_bytes += static_cast<int64_t>(header.size());
  const int64_t offset = request.offset_bytes();
  if (offset < 0 || offset > total_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("offset_bytes: 0 to ", total_bytes, ", the size of ",
                     request.name(), " as a file; got ", offset, "."));
  }
  FileSender sender(offset, total_bytes, send);
  if (sender.Wants(static_cast<int64_t>(header.size()))) {
    HS_RETURN_IF_ERROR(sender.Add(absl::Cord(std::move(header))));
  }
  for (const v1::Tensor* tensor : tensors) {
    HS_ASSIGN_OR_RETURN(const int64_t bytes, TensorBytes(*tensor));
    if (!sender.Wants(bytes)) continue;
    absl::Cord data(tensor->inlined());
    if (tensor->has_digest()) {
      HS_ASSIGN_OR_RETURN(const Digest digest,
                          Digest::FromBytes(tensor->digest()));
      auto read = blobs.Get(digest);
      if (!read.ok()) {
        return absl::DataLossError(absl::StrCat(
            request.name(), ": tensor ", tensor->name(),
            " cannot be read: ", read.status().message(),
            OtherEpochs(catalog, checkpoint.run(), tensor->digest())));
      }
      data = *std::move(read);
    }
    HS_RETURN_IF_ERROR(sender.Add(std::move(data)));
  }
  return sender.Finish();
}

}  // namespace headstart::storage
