#include "storage/catalog/manifest.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/dtype.h"
#include "base/status_macros.h"
#include "storage/blob/blob_store.h"

namespace headstart::storage {
namespace {

constexpr int kTensorsMax = 100'000;
constexpr int kDimensionsMax = 16;
constexpr size_t kNameLengthMax = 500;
constexpr size_t kTextLengthMax = 1000;

bool IsPrintable(absl::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

absl::Status CheckText(absl::string_view field, absl::string_view text,
                       size_t length_max) {
  if (text.size() <= length_max && IsPrintable(text)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      field, " \"", absl::CEscape(text.substr(0, 100)), "\": at most ",
      length_max, " bytes, no control characters."));
}

absl::Status CheckRole(const v1::Tensor& tensor, bool resume) {
  using T = v1::Tensor;
  const bool fits =
      resume ? tensor.role() == T::OPTIMIZER || tensor.role() == T::STATE
             : tensor.role() == T::PARAMETER || tensor.role() == T::BUFFER ||
                   tensor.role() == T::MASK || tensor.role() == T::INSERTED;
  if (tensor.role() == T::MASK && tensor.dtype() != "BOOL") {
    return absl::InvalidArgumentError(absl::StrCat(
        "a MASK must be of dtype BOOL, not ", tensor.dtype(), "."));
  }
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("role ", tensor.role(),
                   resume ? " must be OPTIMIZER or STATE in a resume manifest."
                          : " must be PARAMETER, BUFFER, MASK or INSERTED."));
}

absl::Status CheckTensor(const v1::Tensor& tensor, bool resume) {
  HS_RETURN_IF_ERROR(CheckRole(tensor, resume));
  HS_ASSIGN_OR_RETURN(const int64_t bytes, TensorBytes(tensor));
  if (bytes < kInlineBytesLimit) {
    if (tensor.has_inlined() &&
        static_cast<int64_t>(tensor.inlined().size()) == bytes) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("its ", bytes, " bytes belong into `inlined`, which has ",
                     tensor.inlined().size(), "; only tensors of ",
                     kInlineBytesLimit, " bytes and more are blobs."));
  }
  if (!tensor.has_digest()) {
    return absl::InvalidArgumentError(
        absl::StrCat("its ", bytes,
                     " bytes belong into a blob; only tensors "
                     "below ",
                     kInlineBytesLimit, " bytes are inlined."));
  }
  return Digest::FromBytes(tensor.digest()).status();
}

absl::Status CheckTensors(const v1::Manifest& manifest) {
  if (manifest.tensors_size() > kTensorsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensors: ", manifest.tensors_size(), " of them; at most ",
                     kTensorsMax, " are kept."));
  }
  if (manifest.tensors_size() == 0 && !manifest.resume()) {
    return absl::InvalidArgumentError("tensors: there are none.");
  }
  absl::flat_hash_set<absl::string_view> names;
  absl::flat_hash_map<absl::string_view, int64_t> blob_bytes;
  for (const v1::Tensor& tensor : manifest.tensors()) {
    HS_RETURN_IF_ERROR(CheckText("tensor", tensor.name(), kNameLengthMax));
    if (tensor.name().empty() || tensor.name() == "__metadata__" ||
        !names.insert(tensor.name()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor \"", tensor.name(),
                       "\": names must be unique, not empty, "
                       "and not __metadata__."));
    }
    HS_RETURN_IF_ERROR(Annotate(CheckTensor(tensor, manifest.resume()),
                                absl::StrCat("tensor ", tensor.name())));
    if (!tensor.has_digest()) continue;
    const int64_t bytes = *TensorBytes(tensor);
    if (blob_bytes.try_emplace(tensor.digest(), bytes).first->second != bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", tensor.name(),
                       ": another tensor has the same digest and "
                       "another size."));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckFields(const v1::Manifest& manifest) {
  if (!manifest.parent().empty()) {
    HS_RETURN_IF_ERROR(
        Annotate(Digest::FromBytes(manifest.parent()).status(), "parent"));
  }
  HS_RETURN_IF_ERROR(CheckText("model", manifest.model(), kTextLengthMax));
  HS_RETURN_IF_ERROR(
      CheckText("input_transform", manifest.input_transform(), kTextLengthMax));
  const int64_t bytes = manifest.ByteSizeLong();
  if (bytes > kManifestBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("it has ", bytes, " bytes; at most ", kManifestBytesMax,
                     " are kept as one manifest."));
  }
  // A copy without them is shorter: what nobody checks is not kept.
  v1::Manifest known = manifest;
  known.DiscardUnknownFields();
  if (static_cast<int64_t>(known.ByteSizeLong()) != bytes) {
    return absl::InvalidArgumentError(
        "it has fields that this release of storage does not know.");
  }
  return CheckTensors(manifest);
}

}  // namespace

std::string CanonicalBytes(const v1::Manifest& manifest) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    HS_CHECK(manifest.SerializeToCodedStream(&coded));
  }
  return bytes;
}

Digest ManifestDigest(const v1::Manifest& manifest) {
  return Digest::Of(CanonicalBytes(manifest));
}

ManifestName NameOf(const v1::Manifest& manifest) {
  const auto run = RunName::Parse(manifest.run());
  HS_CHECK_OK(run.status());
  return {{*run, manifest.epoch()}, manifest.resume()};
}

absl::StatusOr<int64_t> TensorBytes(const v1::Tensor& tensor) {
  HS_ASSIGN_OR_RETURN(const DType dtype, ParseDType(tensor.dtype()));
  if (tensor.shape_size() > kDimensionsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("shape has ", tensor.shape_size(), " dimensions; at most ",
                     kDimensionsMax, " are kept."));
  }
  // Every dimension is checked, also those behind a 0.
  bool empty = false;
  int64_t bytes = DTypeSize(dtype);
  for (const int64_t dimension : tensor.shape()) {
    if (dimension < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "shape holds ", dimension, "; dimensions are 0 or more."));
    }
    if (dimension == 0) {
      empty = true;
    } else if (bytes > kBlobBytesMax / dimension) {
      return absl::InvalidArgumentError(absl::StrCat(
          "dtype and shape make more than ", kBlobBytesMax, " bytes."));
    } else {
      bytes *= dimension;
    }
  }
  return empty ? 0 : bytes;
}

int64_t TensorBytes(const v1::Manifest& manifest) {
  int64_t sum = 0;  // At most kTensorsMax * kBlobBytesMax, below 2^47.
  for (const v1::Tensor& tensor : manifest.tensors()) {
    const auto bytes = TensorBytes(tensor);
    HS_CHECK_OK(bytes.status());
    sum += *bytes;
  }
  return sum;
}

std::vector<ManifestBlob> BlobsOf(const v1::Manifest& manifest) {
  std::vector<ManifestBlob> blobs;
  absl::flat_hash_set<Digest> seen;
  for (const v1::Tensor& tensor : manifest.tensors()) {
    if (!tensor.has_digest()) continue;
    const auto digest = Digest::FromBytes(tensor.digest());
    HS_CHECK_OK(digest.status());
    if (seen.insert(*digest).second) {
      blobs.push_back({*digest, *TensorBytes(tensor)});
    }
  }
  return blobs;
}

absl::Status CheckManifest(const v1::Manifest& manifest) {
  if (manifest.format_version() != kManifestFormatVersion) {
    return absl::InvalidArgumentError(absl::StrCat(
        "manifest of format_version ", manifest.format_version(),
        ": this storage knows version ", kManifestFormatVersion, "."));
  }
  HS_RETURN_IF_ERROR(
      Annotate(RunName::Parse(manifest.run()).status(), "manifest.run"));
  // The name's parser is the judge of epochs too.
  const std::string name =
      absl::StrCat(manifest.run(), "/epochs/", manifest.epoch());
  HS_RETURN_IF_ERROR(
      Annotate(CheckpointName::Parse(name).status(), "manifest.epoch"));
  return Annotate(CheckFields(manifest),
                  manifest.resume() ? absl::StrCat(name, "/resume") : name);
}

}  // namespace headstart::storage
