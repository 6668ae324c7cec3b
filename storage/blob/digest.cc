#include "storage/blob/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace headstart::storage {
namespace {

constexpr absl::string_view kPrefix = "sha256:";

bool IsLowerHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

}  // namespace

struct Hasher::Context {
  EVP_MD_CTX* evp = nullptr;
};

Hasher::Hasher() : context_(std::make_unique<Context>()) {
  context_->evp = EVP_MD_CTX_new();
  HS_CHECK(context_->evp != nullptr);
  HS_CHECK(EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1);
}

Hasher::~Hasher() { EVP_MD_CTX_free(context_->evp); }

void Hasher::Update(absl::string_view bytes) {
  HS_CHECK(EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()) == 1);
}

Digest Hasher::Finish() {
  Digest digest;
  unsigned int size = 0;
  HS_CHECK(EVP_DigestFinal_ex(context_->evp, digest.bytes_.data(), &size) == 1);
  HS_CHECK(size == Digest::kSize);
  return digest;
}

Digest Digest::Of(absl::string_view bytes) {
  Hasher hasher;
  hasher.Update(bytes);
  return hasher.Finish();
}

Digest Digest::Of(const absl::Cord& bytes) {
  Hasher hasher;
  for (absl::string_view chunk : bytes.Chunks()) hasher.Update(chunk);
  return hasher.Finish();
}

absl::StatusOr<Digest> Digest::FromBytes(absl::string_view bytes) {
  if (bytes.size() != kSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("a digest is ", kSize, " bytes, got ", bytes.size(), "."));
  }
  Digest digest;
  std::memcpy(digest.bytes_.data(), bytes.data(), kSize);
  return digest;
}

absl::StatusOr<Digest> Digest::Parse(absl::string_view text) {
  const bool prefixed = text.substr(0, kPrefix.size()) == kPrefix;
  const absl::string_view hex =
      prefixed ? text.substr(kPrefix.size()) : absl::string_view();
  if (hex.size() != 2 * kSize ||
      !std::all_of(hex.begin(), hex.end(), IsLowerHex)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", absl::CEscape(text.substr(0, 100)),
                     "\" is no digest: write sha256: and 64 hex digits."));
  }
  return FromBytes(absl::HexStringToBytes(hex));
}

std::string Digest::ToString() const {
  return absl::StrCat(kPrefix, absl::BytesToHexString(bytes()));
}

}  // namespace headstart::storage
