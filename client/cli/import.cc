#include "client/cli/import.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/dtype.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/cli/byte_progress.h"
#include "storage/blob/blob_store.h"
#include "storage/catalog/manifest.h"
#include "storage/safetensors/safetensors.h"

namespace headstart::client {
namespace {

using storage::Blob;
using storage::Digest;

constexpr int64_t kPartBytes = int64_t{1} << 20;
// Blobs that are sent with one call.
constexpr int64_t kGroupBytes = int64_t{16} << 20;
// Uploads of what storage says is missing; the second is for blobs that were
// collected while the first took its time.
constexpr int kUploadsMax = 3;

// A file that is read at offsets.
class SourceFile {
 public:
  static absl::StatusOr<SourceFile> Open(const std::string& path) {
    // A pipe would not be read at offsets, and opening it would wait.
    SourceFile opened(path,
                      open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat about = {};
    if (opened.file_ < 0 || fstat(opened.file_, &about) != 0) {
      return ErrnoStatus(errno, absl::StrCat("opening ", path));
    }
    if (!S_ISREG(about.st_mode)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " is not a regular file."));
    }
    opened.bytes_ = about.st_size;
    return opened;
  }
  ~SourceFile() {
    if (file_ >= 0) close(file_);
  }
  SourceFile(SourceFile&& other) noexcept
      : path_(std::move(other.path_)),
        file_(std::exchange(other.file_, -1)),
        bytes_(other.bytes_) {}

  const std::string& path() const { return path_; }
  int64_t bytes() const { return bytes_; }

  // Exactly `size` bytes from `offset` on.
  absl::StatusOr<std::string> Read(int64_t offset, int64_t size) const {
    std::string bytes(size, '\0');
    for (int64_t done = 0; done < size;) {
      const ssize_t count =
          pread(file_, bytes.data() + done, size - done, offset + done);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return ErrnoStatus(errno, absl::StrCat("reading ", path_));
      if (count == 0) return Changed();
      done += count;
    }
    return bytes;
  }

  absl::Status Changed() const {
    return absl::AbortedError(
        absl::StrCat(path_,
                     " changed while it was read; import it again when nobody "
                     "writes to it any more."));
  }

 private:
  SourceFile(std::string path, int file)
      : path_(std::move(path)), file_(file) {}

  std::string path_;
  int file_;
  int64_t bytes_ = 0;
};

// Where a blob's bytes stand in the file.
struct Extent {
  int64_t offset = 0;
  int64_t bytes = 0;
};

struct Plan {
  v1::Manifest manifest;
  std::map<Digest, Extent> blobs;
};

absl::StatusOr<storage::SafetensorsLayout> ReadLayoutOf(
    const SourceFile& file) {
  HS_ASSIGN_OR_RETURN(
      const std::string size,
      file.Read(0, std::min(file.bytes(), storage::kSafetensorsSizeBytes)));
  const auto header_bytes = storage::SafetensorsDataOffset(size, file.bytes());
  HS_RETURN_IF_ERROR(Annotate(header_bytes.status(), file.path()));
  HS_ASSIGN_OR_RETURN(const std::string header, file.Read(0, *header_bytes));
  auto layout = storage::ParseSafetensorsHeader(header, file.bytes());
  HS_RETURN_IF_ERROR(Annotate(layout.status(), file.path()));
  return layout;
}

absl::StatusOr<Digest> DigestOf(const SourceFile& file, const Extent& extent,
                                ByteProgress& progress) {
  storage::Hasher hasher;
  for (int64_t done = 0; done < extent.bytes;) {
    HS_ASSIGN_OR_RETURN(const std::string part,
                        file.Read(extent.offset + done,
                                  std::min(kPartBytes, extent.bytes - done)));
    hasher.Update(part);
    done += static_cast<int64_t>(part.size());
    progress.Add(static_cast<int64_t>(part.size()), file.bytes());
  }
  return hasher.Finish();
}

// The manifest, with every byte of the file read once.
absl::StatusOr<Plan> MakePlan(const SourceFile& file, const std::string& run,
                              ByteProgress& progress) {
  HS_ASSIGN_OR_RETURN(const storage::SafetensorsLayout layout,
                      ReadLayoutOf(file));
  Plan plan;
  plan.manifest.set_format_version(storage::kManifestFormatVersion);
  plan.manifest.set_run(run);
  for (const storage::SafetensorsTensor& each : layout.tensors) {
    v1::Tensor& tensor = *plan.manifest.add_tensors();
    tensor.set_name(each.name);
    tensor.set_dtype(std::string(DTypeName(each.dtype)));
    tensor.mutable_shape()->Assign(each.shape.begin(), each.shape.end());
    tensor.set_role(RoleByName(each.name));
    // Before gigabytes are read that would be refused after all.
    HS_RETURN_IF_ERROR(
        Annotate(storage::TensorBytes(tensor).status(),
                 absl::StrCat(file.path(), ": tensor ", each.name)));
    const Extent extent{layout.data_offset + each.offset, each.bytes};
    if (extent.bytes < storage::kInlineBytesLimit) {
      HS_ASSIGN_OR_RETURN(*tensor.mutable_inlined(),
                          file.Read(extent.offset, extent.bytes));
      continue;
    }
    HS_ASSIGN_OR_RETURN(const Digest digest, DigestOf(file, extent, progress));
    tensor.set_digest(std::string(digest.bytes()));
    plan.blobs[digest] = extent;
  }
  HS_RETURN_IF_ERROR(
      Annotate(storage::CheckManifest(plan.manifest), file.path()));
  return plan;
}

absl::StatusOr<Blob> ReadBlob(const SourceFile& file, const Digest& digest,
                              const Extent& extent) {
  Blob blob{.digest = digest};
  while (static_cast<int64_t>(blob.bytes.size()) < extent.bytes) {
    const auto done = static_cast<int64_t>(blob.bytes.size());
    HS_ASSIGN_OR_RETURN(std::string part,
                        file.Read(extent.offset + done,
                                  std::min(kPartBytes, extent.bytes - done)));
    blob.bytes.Append(std::move(part));
  }
  if (Digest::Of(blob.bytes) != digest) return file.Changed();
  return blob;
}

absl::Status UploadMissing(Client& client, const SourceFile& file,
                           const Plan& plan, ByteProgress& progress) {
  std::vector<Digest> digests;
  for (const auto& [digest, extent] : plan.blobs) digests.push_back(digest);
  HS_ASSIGN_OR_RETURN(const std::vector<Digest> missing,
                      client.FindMissingBlobs(digests));
  std::vector<Blob> group;
  int64_t group_bytes = 0;
  const auto send = [&]() -> absl::Status {
    HS_RETURN_IF_ERROR(client.UploadBlobs(group));
    progress.Add(group_bytes, file.bytes());
    group.clear();
    group_bytes = 0;
    return absl::OkStatus();
  };
  for (const Digest& digest : missing) {
    const Extent& extent = plan.blobs.at(digest);
    if (!group.empty() && group_bytes + extent.bytes > kGroupBytes) {
      HS_RETURN_IF_ERROR(send());
    }
    HS_ASSIGN_OR_RETURN(group.emplace_back(), ReadBlob(file, digest, extent));
    group_bytes += extent.bytes;
  }
  return group.empty() ? absl::OkStatus() : send();
}

}  // namespace

v1::Tensor::Role RoleByName(absl::string_view tensor) {
  const absl::string_view last = tensor.substr(tensor.rfind('.') + 1);
  for (const absl::string_view buffer :
       {"running_mean", "running_var", "num_batches_tracked"}) {
    if (last == buffer) return v1::Tensor::BUFFER;
  }
  if (absl::StartsWith(tensor, "mask.")) return v1::Tensor::MASK;
  if (absl::StartsWith(tensor, "inserted.")) return v1::Tensor::INSERTED;
  return v1::Tensor::PARAMETER;
}

absl::StatusOr<storage::SafetensorsLayout> ReadLayout(const std::string& path) {
  HS_ASSIGN_OR_RETURN(const SourceFile file, SourceFile::Open(path));
  return ReadLayoutOf(file);
}

absl::StatusOr<v1::Checkpoint> ImportFile(Client& client, Printer& printer,
                                          Clock& clock,
                                          const ImportOptions& options) {
  HS_ASSIGN_OR_RETURN(const SourceFile file, SourceFile::Open(options.file));
  ByteProgress reading(printer, clock, absl::StrCat("reading ", options.file));
  HS_ASSIGN_OR_RETURN(const Plan plan, MakePlan(file, options.run, reading));

  v1::ImportCheckpointRequest request;
  *request.mutable_manifest() = plan.manifest;
  request.set_reason(options.reason);
  ByteProgress sending(printer, clock, absl::StrCat("sending ", options.file));
  // Asked first, so that a name which is taken costs no upload.
  for (int uploads = 0;; ++uploads) {
    const absl::StatusOr<v1::Checkpoint> checkpoint =
        client.ImportCheckpoint(request);
    if (uploads == kUploadsMax ||
        !absl::IsFailedPrecondition(checkpoint.status())) {
      return checkpoint;
    }
    HS_RETURN_IF_ERROR(UploadMissing(client, file, plan, sending));
  }
}

}  // namespace headstart::client
