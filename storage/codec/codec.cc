#include "storage/codec/codec.h"

#include <zstd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace headstart::storage {
namespace {

constexpr size_t kProbeBytes = 64 << 10;
constexpr int64_t kWholeBytesMax = int64_t{32} << 20;
constexpr int kLevel = 1;  // The quickest; bytes that need more stay raw.

// The compressed bytes, unless they save less than a tenth.
std::optional<std::string> Compress(absl::string_view raw) {
  std::string compressed(ZSTD_compressBound(raw.size()), '\0');
  const size_t size = ZSTD_compress(compressed.data(), compressed.size(),
                                    raw.data(), raw.size(), kLevel);
  if (ZSTD_isError(size) || size > raw.size() - raw.size() / 10) {
    return std::nullopt;
  }
  compressed.resize(size);
  return compressed;
}

}  // namespace

Encoded Encode(const absl::Cord& raw) {
  if (raw.empty() || static_cast<int64_t>(raw.size()) > kWholeBytesMax) {
    return {Codec::kNone, raw};
  }
  absl::Cord probe = raw.Subcord(0, kProbeBytes);
  if (!Compress(probe.Flatten()).has_value()) return {Codec::kNone, raw};
  absl::Cord whole = raw;
  std::optional<std::string> compressed = Compress(whole.Flatten());
  if (!compressed.has_value()) return {Codec::kNone, raw};
  compressed->shrink_to_fit();
  return {Codec::kZstd, absl::Cord(*std::move(compressed))};
}

absl::StatusOr<absl::Cord> Decode(Codec codec, absl::Cord encoded,
                                  int64_t raw_size) {
  switch (codec) {
    case Codec::kNone:
      if (static_cast<int64_t>(encoded.size()) != raw_size) {
        return absl::DataLossError(absl::StrCat(
            "there are ", encoded.size(), " bytes instead of ", raw_size));
      }
      return encoded;
    case Codec::kZstd: {
      const absl::string_view compressed = encoded.Flatten();
      std::string raw(raw_size, '\0');
      const size_t size = ZSTD_decompress(raw.data(), raw.size(),
                                          compressed.data(), compressed.size());
      if (ZSTD_isError(size)) {
        return absl::DataLossError(
            absl::StrCat("zstd says: ", ZSTD_getErrorName(size)));
      }
      if (static_cast<int64_t>(size) != raw_size) {
        return absl::DataLossError(absl::StrCat(
            "it unpacks to ", size, " bytes instead of ", raw_size));
      }
      return absl::Cord(std::move(raw));
    }
  }
  return absl::DataLossError(absl::StrCat(
      "codec ", static_cast<uint32_t>(codec), " is not known here"));
}

}  // namespace headstart::storage
