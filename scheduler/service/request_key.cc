#include "scheduler/service/request_key.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <openssl/evp.h>

#include "base/check.h"
#include "base/request_id.h"
#include "base/status_macros.h"

namespace headstart::scheduler {
namespace {

std::string DeterministicBytes(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  HS_CHECK(message.SerializeToCodedStream(&out));
  out.Trim();
  return bytes;
}

std::string Sha256(absl::string_view bytes) {
  std::string digest(32, '\0');
  HS_CHECK_EQ(EVP_Digest(bytes.data(), bytes.size(),
                         reinterpret_cast<unsigned char*>(digest.data()),
                         nullptr, EVP_sha256(), nullptr),
              1);
  return digest;
}

}  // namespace

absl::StatusOr<RequestKey> MakeRequestKey(
    const google::protobuf::Message& request, absl::string_view id,
    absl::string_view method) {
  HS_RETURN_IF_ERROR(CheckRequestId(id));
  return RequestKey{.id = std::string(id),
                    .method = std::string(method),
                    .fingerprint = Sha256(DeterministicBytes(request))};
}

}  // namespace headstart::scheduler
